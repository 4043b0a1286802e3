"""A compressed container (gzip, bzip2, xz, Zstandard), unpacked once into a file that all processes of a run read.

Beside it stands how far unpacking got, so that every process says the same of a damaged container.
"""

from __future__ import annotations

import bz2
import json
import lzma
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from forensics.errors import ArchiveError, ImageReadError
from forensics.expansion.decoding import Decoder, Inflater, decode_all
from forensics.expansion.guard import guarded
from forensics.expansion.zstandard import zstd_decoder
from forensics.logical.kept_file import FileSource, is_out_of_proportion, kept, write_block
from forensics.source import SourceStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from forensics.source import ByteSource

_GZIP_WINDOW = 31
_LARGEST_DECODER_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Packing:
    """A way to compress one file: its name, the first bytes of what is compressed so, its decoder."""

    name: str
    magic: bytes
    decoder: Callable[[], Decoder]


PACKINGS = (
    Packing("gzip", b"\x1f\x8b\x08", lambda: Inflater(_GZIP_WINDOW)),  # RFC 1952, 2.3.1
    Packing("bzip2", b"BZh", bz2.BZ2Decompressor),
    Packing("xz", b"\xfd7zXZ\x00", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LARGEST_DECODER_BYTES)),  # .xz format, 2.1.1.1
    Packing("zstd", b"\x28\xb5\x2f\xfd", zstd_decoder),  # RFC 8878, 3.1.1
)


def packing_of(head: bytes) -> Packing | None:
    """How a file that begins with these bytes is compressed; None if it is not."""
    return next((one for one in PACKINGS if head.startswith(one.magic)), None)


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What a compressed container holds.

    Attributes:
        source: its content, as far as it could be unpacked.
        failure: why unpacking ended early; "" where it did not.
        consumed: where in the container the last whole stream of compressed data ends; what lies behind it is something else.
    """

    source: ByteSource
    failure: str
    consumed: int


def unpacked_head(source: ByteSource, packing: Packing, length: int) -> bytes:
    """The first bytes of what is compressed, fewer where it is damaged."""
    head = b""
    try:
        for block, _ in _blocks(source, packing):
            head += block
            if len(head) >= length:
                break
    except (ArchiveError, ImageReadError):
        return head[:length]
    return head[:length]


def unpack(source: ByteSource, packing: Packing, spool: Path) -> Unpacked:
    """What the container holds, from the file in `spool` if there is one, else unpacked into it now.

    Raises:
        FilesystemError: there is no room, or the folder cannot be written to.
        ImageReadError: the container itself cannot be read.
    """
    content, notes = kept(source, spool, "unpacked", lambda file, about: _write(source, packing, file, about))
    noted = json.loads(notes.read_text(encoding="ascii"))
    return Unpacked(FileSource(content), str(noted["failure"]), int(noted["consumed"]))


def _write(source: ByteSource, packing: Packing, file: BinaryIO, about: BinaryIO) -> None:
    failure, consumed, written = "", 0, 0
    try:
        for block, consumed in _blocks(source, packing):  # noqa: B007 - the last one counts
            write_block(file, block)
            written += len(block)
            if is_out_of_proportion(written, source.size):
                failure = f"{written} bytes came out of {source.size}, as from an archive made to exhaust a reader; the rest was left"
                break
    except ArchiveError as error:
        failure = str(error)
    file.truncate(written)
    about.write(json.dumps({"failure": failure, "consumed": consumed}).encode("ascii"))


def _blocks(source: ByteSource, packing: Packing) -> Iterator[tuple[bytes, int]]:
    stream = SourceStream(source)
    return guarded(
        decode_all(stream, source.size, packing.decoder, lambda head: packing_of(head) == packing), f"the {packing.name} data are damaged"
    )
