"""The Merkle tree over the log's entries (RFC 6962 section 2.1).

A `Frontier` keeps the roots of the complete subtrees from left to right, so that appending a leaf and taking the root cost
O(log n) hashes and no older leaf is read again. Law: `Frontier` over any leaves has the root that section 2.1 defines recursively.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: `SHA-256(0x01 || left || right)`."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """A growing tree, known by the roots of its complete subtrees, the largest first.

    Attributes:
        size: how many leaves are in the tree.
    """

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        if size.bit_count() != len(hashes):
            message = f"a tree of {size} leaves has {size.bit_count()} complete subtrees, not {len(hashes)}"
            raise ValueError(message)
        self.size = size
        self._hashes = list(hashes)

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The subtree roots, enough to make this frontier again together with `size`."""
        return tuple(self._hashes)

    def append(self, leaf: bytes) -> None:
        """Adds a leaf hash at the right end."""
        carry, size = leaf, self.size
        while size & 1:
            carry = node_hash(self._hashes.pop(), carry)
            size >>= 1
        self._hashes.append(carry)
        self.size += 1

    def root(self) -> bytes:
        """The tree's root hash, 32 bytes."""
        if not self._hashes:
            return EMPTY_ROOT
        root = self._hashes[-1]
        for left in reversed(self._hashes[:-1]):
            root = node_hash(left, root)
        return root


def tree_root(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def inclusion_path(index: int, leaves: Sequence[bytes]) -> tuple[bytes, ...]:
    """The audit path of the leaf at `index`, nearest sibling first (RFC 6962 section 2.1.1)."""
    if len(leaves) == 1:
        return ()
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    if index < split:
        return (*inclusion_path(index, leaves[:split]), tree_root(leaves[split:]))
    return (*inclusion_path(index - split, leaves[split:]), tree_root(leaves[:split]))


def is_included(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether an audit path proves that `leaf` is at `index` of the tree of `size` leaves with that root.

    References:
        RFC 9162 section 2.1.3.2, which gives the verification that RFC 6962 leaves out.
    """
    if not 0 <= index < size:
        return False
    node, last, value = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if node & 1 or node == last:
            value = node_hash(sibling, value)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            value = node_hash(value, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and value == root
