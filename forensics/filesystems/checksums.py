"""CRC-32C (RFC 3720, appendix B.4), with which XFS and Btrfs protect their metadata."""

from __future__ import annotations

from dissect.util.hash.crc32c import crc32c as _crc32c


def crc32c(data: bytes) -> int:
    """The checksum of the bytes."""
    return int(_crc32c(data))
