"""Decompressed blocks kept for small random reads, bounded in bytes; safe to share between threads."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

CACHE_BYTES = 32 * 1024 * 1024


class BlockCache:
    """The blocks used last, up to a total size in bytes; at least one is kept."""

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._lock = Lock()

    def get(self, index: int) -> bytes | None:
        """The block of that index, or None if it is not kept."""
        with self._lock:
            block = self._blocks.get(index)
            if block is not None:
                self._blocks.move_to_end(index)
            return block

    def put(self, index: int, block: bytes) -> None:
        """Keeps the block, and lets go of those not used for longest."""
        with self._lock:
            if index in self._blocks:
                return
            self._blocks[index] = block
            self._bytes += len(block)
            while self._bytes > self._max_bytes and len(self._blocks) > 1:
                self._bytes -= len(self._blocks.popitem(last=False)[1])
