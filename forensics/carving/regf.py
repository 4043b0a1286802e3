"""Registry hives: base block checksum and chain of hive bins (msuhanov, "Windows registry file format specification")."""

from __future__ import annotations

import struct
from functools import reduce
from operator import xor
from typing import TYPE_CHECKING

from forensics.carving.base import Measured
from forensics.carving.window import Window

if TYPE_CHECKING:
    from forensics.source import ByteSource

_BASE_BYTES = 4096
_NEVER = {0: 1, 0xFFFFFFFF: 0xFFFFFFFE}  # values that a checksum never has, and what stands for them


class RegistryHive:
    """Hives of the Windows registry."""

    name = "registry hive"
    signatures = (b"regf",)
    signature_offset = 0
    max_bytes = 4 << 30

    def measure(self, source: ByteSource, start: int) -> Measured | None:
        """The hive; one whose bins break off counts if one is there."""
        window = Window(source, start, self.max_bytes)
        base = window.read(0, 512)
        if len(base) < 512:  # noqa: PLR2004 - what the checksum covers
            return None
        computed = reduce(xor, struct.unpack("<127I", base[:508]))
        if _NEVER.get(computed, computed) != int.from_bytes(base[508:512], "little"):
            return None
        end, at, bins = _BASE_BYTES + int.from_bytes(base[40:44], "little"), _BASE_BYTES, 0
        while at < min(end, window.size):
            head = window.unpack("<4sII", at)
            if (
                head is None
                or head[0] != b"hbin"
                or head[1] != at - _BASE_BYTES
                or not head[2]
                or head[2] % 4096
                or at + head[2] > window.size
            ):
                break
            at, bins = at + head[2], bins + 1
        if not bins:
            return None
        return Measured(length=at, validated=at == end, extension="hive", why="all bins" if at == end else f"no bin at byte {at}")
