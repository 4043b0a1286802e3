"""What of 7z archives libarchive cannot read: members that are encrypted, or of BZip2, Deflate64 or Brotli. The owner file of py7zr.

py7zr's own extraction writes files, so its header and its decoders are used and its extraction is not: a folder (in 7z the
word for members compressed together) is decoded from front to back, each member taken from it in turn.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import py7zr
from py7zr.compressor import SevenZipDecompressor

from forensics.boundary import attempt
from forensics.errors import ArchiveError
from forensics.filesystems.base import Kind, Times
from forensics.names import escape_text
from forensics.timestamps import from_filetime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

# Of what goes into a decoder at once, up to a thousand times as much may come out at once.
_INPUT_BYTES = 16 * 1024
_OUTPUT_BYTES = 256 * 1024
_TRIED_BYTES = 1 << 20
_AES = b"\x06\xf1\x07\x01"  # 7-Zip, DOC/Methods.txt
_MOST_ROUNDS = 20  # the key takes 2^n rounds of SHA-256; 7-Zip has always written 19, the format allows 2^62


class LockedArchiveError(ArchiveError):
    """An archive's directory is encrypted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member7z:
    """One member as the archive's header states it.

    Attributes:
        number: its number in the archive, from 1.
        path: its path.
        kind: what it is.
        size: its size in bytes.
        times: its times.
        is_encrypted: whether its content is.
        blocks: begins reading its content; None if it has none. Members of one folder are to be read in order, each to its end or
            not at all.
    """

    number: int
    path: bytes
    kind: Kind
    size: int
    times: Times
    is_encrypted: bool
    blocks: Callable[[], Iterator[bytes]] | None


def open_7z(file: BinaryIO, passphrases: tuple[str, ...]) -> tuple[tuple[Member7z, ...], bool]:
    """All members of the archive by the first passphrase that opens it, and whether one does. Without passphrases, by none.

    Args:
        file: the archive.
        passphrases: what may be tried; one opens the archive if its directory can be read and the first encrypted member is right.

    Raises:
        LockedArchiveError: the directory is encrypted, and no passphrase opens it.
        ArchiveError: the directory is damaged.
    """
    error: Exception | None = None
    listed: tuple[Member7z, ...] | None = None
    for passphrase in (*passphrases, None):
        got: list[tuple[Member7z, ...]] = []
        error = attempt(lambda passphrase=passphrase, got=got: got.append(_members(file, passphrase)))  # type: ignore[misc]
        if error is not None:
            continue
        if passphrase is not None and _opens(got[0]):
            return got[0], True
        listed = got[0]
    if listed is None:
        # The last was tried without a passphrase, and so says whether one is needed.
        if isinstance(error, py7zr.PasswordRequired):
            message = "its directory is encrypted, and no passphrase given opens it"
            raise LockedArchiveError(message) from error
        message = f"its directory cannot be read: {escape_text(str(error))[:200] or type(error).__name__}"
        raise ArchiveError(message) from error
    return listed, False


def _members(file: BinaryIO, passphrase: str | None) -> tuple[Member7z, ...]:
    file.seek(0)
    archive: Any = py7zr.SevenZipFile(file, password=passphrase)
    streams = archive.header.main_streams
    folders = list(streams.unpackinfo.folders) if streams is not None else []
    starts = {id(folder): archive.afterheader + streams.packinfo.packpositions[at] for at, folder in enumerate(folders)}
    sizes = {id(folder): streams.packinfo.packsizes[at] for at, folder in enumerate(folders)}
    readers: dict[int, _Folder] = {}
    members = []
    for number, one in enumerate(archive.files, start=1):
        folder = None if one.emptystream else one.folder
        reader = None
        if folder is not None:
            key = id(folder)
            reader = readers.setdefault(key, _Folder(file, starts[key], sizes[key], folder, passphrase))
        members.append(_member(one, number, reader))
    return tuple(members)


def _member(one: Any, number: int, reader: _Folder | None) -> Member7z:
    size, crc = int(one.uncompressed or 0), one.crc32
    at = reader.place(size) if reader is not None else 0
    return Member7z(
        number=number,
        path=str(one.filename).encode("utf-8", "surrogateescape"),
        kind=Kind.DIRECTORY if one.is_directory else Kind.LINK if one.is_symlink else Kind.FILE,
        size=size,
        times=Times(modified=None if one.lastwritetime is None else from_filetime(int(one.lastwritetime))),
        is_encrypted=reader is not None and reader.is_encrypted,
        blocks=None if reader is None else lambda: reader.blocks(at, size, crc),
    )


def _opens(members: tuple[Member7z, ...]) -> bool:
    """Whether the first encrypted member comes out right, as far as its first MiB tells; so it does where none is."""
    first = next((one for one in members if one.is_encrypted and one.blocks is not None), None)
    if first is None or first.blocks is None:
        return True
    blocks = first.blocks()

    def read() -> None:
        done = 0
        for block in blocks:
            done += len(block)
            if done > _TRIED_BYTES:
                return

    return attempt(read) is None


class _Folder:
    """One folder, decoded from front to back; begun again where an earlier member is asked for."""

    def __init__(self, file: BinaryIO, start: int, length: int, folder: Any, passphrase: str | None) -> None:
        self._file, self._start, self._length = file, start, length
        self._folder, self._passphrase = folder, passphrase
        self._placed = 0
        self._decoder: Any = None
        self._read_at, self._done = start, 0
        self.is_encrypted = any(coder["method"] == _AES for coder in folder.coders)

    def place(self, size: int) -> int:
        """Where the next member, of `size` bytes, begins in the decoded folder."""
        self._placed += size
        return self._placed - size

    def blocks(self, at: int, size: int, crc: int | None) -> Iterator[bytes]:
        """The member's content.

        Raises:
            ArchiveError: it is cut off, or its checksum is wrong, or the key would take too long. A decoder's own errors pass.
        """
        if self._decoder is None or self._done > at:
            self._begin()
        while self._done < at:
            self._step(at - self._done)
        computed = 0
        while self._done < at + size:
            block = self._step(at + size - self._done)
            computed = zlib.crc32(block, computed)
            yield block
        if crc is not None and computed != crc:
            message = f"its checksum (CRC-32) is {computed:08x} instead of the {crc:08x} stated"
            raise ArchiveError(message)

    def _begin(self) -> None:
        for coder in self._folder.coders:
            if coder["method"] == _AES and coder["properties"][0] & 0x3F > _MOST_ROUNDS:
                message = f"making its key takes 2^{coder['properties'][0] & 0x3F} rounds, more than any program writes"
                raise ArchiveError(message)
        of = self._folder
        self._decoder = SevenZipDecompressor(of.coders, self._length, of.unpacksizes, of.crc, self._passphrase, _INPUT_BYTES)
        self._read_at, self._done = self._start, 0

    def _step(self, most: int) -> bytes:
        """The next bytes, at least one and at most `most`."""
        while True:
            self._file.seek(self._read_at)  # others read the file in between
            block = bytes(self._decoder.decompress(self._file, min(most, _OUTPUT_BYTES)))
            moved = self._file.tell() != self._read_at
            self._read_at = self._file.tell()
            if block:
                self._done += len(block)
                return block
            if not moved:
                message = "the compressed data end too early"
                raise ArchiveError(message)
