"""Openers of compressed files that hold one content without a name: bzip2, xz, lzma, Zstandard."""

from __future__ import annotations

import bz2
import lzma
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.expansion.base import Member
from forensics.expansion.decoding import Decoder, Streams
from forensics.expansion.guard import guarded
from forensics.expansion.member_names import without_suffix
from forensics.expansion.member_problems import trailing
from forensics.expansion.zstandard import zstd_decoder
from forensics.filesystems.base import Kind, Times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from forensics.credentials import Credential
    from forensics.errors import Problem

# xz refuses a dictionary beyond this; the largest preset needs 65 MiB, the format allows 4 GiB.
_LARGEST_DECODER_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleStream:
    """Opens one kind of compressed file; its content is one member, of all streams that stand one behind the other.

    Attributes:
        name: the kind.
        is_start: whether a stream begins with these bytes.
        new: makes a decoder of one stream.
        suffixes: what the name of such a file ends with.
    """

    name: str
    is_start: Callable[[bytes], bool]
    new: Callable[[], Decoder]
    suffixes: tuple[str, ...]

    def recognises(self, head: bytes, mime_type: str, name: str) -> bool:  # noqa: ARG002 - the signature says it all
        """Whether a content is of this kind."""
        return self.is_start(head)

    def iter_members(
        self,
        file: BinaryIO,
        size: int,
        name: str,
        credentials: tuple[Credential, ...],  # noqa: ARG002 - the formats know no encryption
    ) -> Iterator[Member | Problem]:
        """The one member; a Problem where bytes that are no stream follow."""
        streams = Streams(file, size, self.new, self.is_start)
        yield Member(
            path=without_suffix(name, self.suffixes),
            kind=Kind.FILE,
            address="content",
            size=None,
            times=Times(),
            blocks=guarded(streams.blocks(), name),
        )
        if streams.end is not None and streams.end < size:
            yield trailing(name, streams.end, size - streams.end)


def _is_bzip2(head: bytes) -> bool:
    # A stream is "BZh", its block size, and a block's or the end's magic: pi or its root (bzip2 has no written specification).
    return head[:3] == b"BZh" and head[3:4] in b"123456789" and head[4:10] in (b"1AY&SY", b"\x17rE8P\x90")


def _is_xz(head: bytes) -> bool:
    return head[:6] == b"\xfd7zXZ\0"  # xz format 2.1.1.1


def _is_lzma(head: bytes) -> bool:
    # lzma_alone has no signature: properties (lc 3, lp 0, pb 2 in practice), a dictionary of 2^n or 2^n + 2^(n-1), a size.
    if len(head) <= _LZMA_HEADER_BYTES or head[0] != _LZMA_USUAL_PROPERTIES:
        return False
    dictionary, stated = int.from_bytes(head[1:5], "little"), int.from_bytes(head[5:13], "little")
    bits = dictionary.bit_length()
    is_usual = dictionary >= 1 << 12 and dictionary in (1 << (bits - 1), 3 << max(bits - 2, 0))
    return is_usual and (stated == (1 << 64) - 1 or stated < 1 << 40) and head[13] == 0


def _is_zstd(head: bytes) -> bool:
    # RFC 8878, 3.1.1 and 3.1.2: a frame, or one to skip
    return head[:4] == b"\x28\xb5\x2f\xfd" or (len(head) > 8 and head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50)  # noqa: PLR2004


_LZMA_HEADER_BYTES = 13
_LZMA_USUAL_PROPERTIES = 0x5D

BZIP2 = SingleStream(name="bzip2", is_start=_is_bzip2, new=bz2.BZ2Decompressor, suffixes=(".bz2", ".tbz2=.tar", ".tbz=.tar"))
XZ = SingleStream(
    name="xz",
    is_start=_is_xz,
    new=lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LARGEST_DECODER_BYTES),
    suffixes=(".xz", ".txz=.tar"),
)
LZMA = SingleStream(
    name="lzma",
    is_start=_is_lzma,
    new=lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_LARGEST_DECODER_BYTES),
    suffixes=(".lzma", ".tlz=.tar"),
)
ZSTD = SingleStream(name="zstd", is_start=_is_zstd, new=zstd_decoder, suffixes=(".zst", ".zstd", ".tzst=.tar"))
