"""Opener of 7z and RAR archives behind a program that unpacks them: the archive is what begins at its signature, to the file's end.

The program may hold the signature as well, to look for it; so what follows it must be an archive's header. (ZIP files with a program or
anything else in front are told by their end.)
"""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING

from forensics.expansion.rar import Rar
from forensics.expansion.seven_zip import SIGNATURE, SevenZip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from forensics.credentials import Credential
    from forensics.errors import Problem
    from forensics.expansion.base import Member, Opener

_PROGRAMS = (b"MZ", b"\x7fELF", b"#!")
_RAR = b"Rar!\x1a\x07"
_HEAD_BYTES = 1 << 20


class SelfExtracting:
    """Opens the archives of one kind behind a program."""

    def __init__(self, opener: Opener, start_of: Callable[[bytes], int]) -> None:
        """`start_of` gives where, in a file's first MiB, the archive begins; -1 if nowhere."""
        self._opener, self._start_of = opener, start_of
        self.name = f"self-extracting {opener.name}"

    def recognises(self, head: bytes, mime_type: str, name: str) -> bool:  # noqa: ARG002 - the bytes say it all
        """Whether a content is a program with an archive of the kind behind it."""
        return head.startswith(_PROGRAMS) and self._start_of(head) > 0

    def iter_members(self, file: BinaryIO, size: int, name: str, credentials: tuple[Credential, ...]) -> Iterator[Member | Problem]:
        """The archive's members."""
        file.seek(0)
        start = self._start_of(file.read(_HEAD_BYTES))
        with io.BufferedReader(_Behind(file, start, size - start)) as archive:
            yield from self._opener.iter_members(archive, size - start, name, credentials)


class _Behind(io.RawIOBase):
    """A file from a place on, as a file."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        super().__init__()
        self._file, self._start, self._size, self._at = file, start, size, 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes to a place and gives it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Reads from where it stands."""
        self._file.seek(self._start + self._at)
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _seven_zip_start(head: bytes) -> int:
    """Where a 7z signature header with its right checksum stands (7-Zip's 7zFormat.txt, "SignatureHeader")."""
    at = head.find(SIGNATURE)
    while at >= 0:
        if zlib.crc32(head[at + 12 : at + 32]) == int.from_bytes(head[at + 8 : at + 12], "little"):
            return at
        at = head.find(SIGNATURE, at + 1)
    return -1


def _rar_start(head: bytes) -> int:
    """Where a RAR signature is followed by the header that an archive begins with (RARLAB's technote, and RAR 4's of the same name)."""
    at = head.find(_RAR)
    while at >= 0:
        kind = head[at + 6 : at + 7]
        is_rar4 = kind == b"\0" and head[at + 9 : at + 10] == b"\x73"
        if is_rar4 or (head[at + 6 : at + 8] == b"\1\0" and _is_rar5_header(head[at + 8 : at + 40])):
            return at
        at = head.find(_RAR, at + 1)
    return -1


def _is_rar5_header(header: bytes) -> bool:
    # The first header is short, so its size is a number of one byte.
    length = header[4] if len(header) > 4 else 0  # noqa: PLR2004 - behind the checksum
    return 0 < length < 0x80 and zlib.crc32(header[4 : 5 + length]) == int.from_bytes(header[:4], "little")  # noqa: PLR2004


SELF_EXTRACTING: tuple[SelfExtracting, ...] = (SelfExtracting(SevenZip(), _seven_zip_start), SelfExtracting(Rar(), _rar_start))
