"""libarchive, which reads many kinds of archive in one pass: called through the copy that the package `archi` carries.

The owner file of `archi`. That package's own interface reads members whole and knows neither times nor errors, so only the
library in it is used. Formats and filters are switched on one by one: "all" would include filters that start programs of the
machine, and the results would depend on it.

References: libarchive 3.8, archive_read(3), archive_read_open(3), archive_entry(3).
"""

from __future__ import annotations

import calendar
import ctypes
import functools
import locale
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import archi

from forensics.errors import ArchiveError
from forensics.filesystems.base import Kind, Times
from forensics.names import escape_text
from forensics.timestamps import from_unix

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from forensics.timestamps import OutOfRange

_BLOCK_BYTES = 256 * 1024
_EOF, _OK, _RETRY, _WARN, _FATAL = 1, 0, -10, -20, -30  # archive.h
_SMALLEST_HEADER = 512  # of tar, the one format in which libarchive looks for the next header behind a damaged one
_LC_CTYPE_MASK = 1 << locale.LC_CTYPE
_KINDS = {  # archive_entry.h, the AE_IF… values
    0o100000: Kind.FILE,
    0o120000: Kind.LINK,
    0o140000: Kind.SOCKET,
    0o020000: Kind.CHARACTER_DEVICE,
    0o060000: Kind.BLOCK_DEVICE,
    0o040000: Kind.DIRECTORY,
    0o010000: Kind.FIFO,
}
_PTR, _INT64, _SSIZE = ctypes.c_void_p, ctypes.c_int64, ctypes.c_ssize_t
_Read = ctypes.CFUNCTYPE(_SSIZE, _PTR, _PTR, ctypes.POINTER(_PTR))
_Skip = ctypes.CFUNCTYPE(_INT64, _PTR, _PTR, _INT64)
_Seek = ctypes.CFUNCTYPE(_INT64, _PTR, _PTR, _INT64, ctypes.c_int)
_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "archive_read_new": (_PTR, ()),
    "archive_read_free": (ctypes.c_int, (_PTR,)),
    "archive_read_set_read_callback": (ctypes.c_int, (_PTR, _Read)),
    "archive_read_set_skip_callback": (ctypes.c_int, (_PTR, _Skip)),
    "archive_read_set_seek_callback": (ctypes.c_int, (_PTR, _Seek)),
    "archive_read_set_callback_data": (ctypes.c_int, (_PTR, _PTR)),
    "archive_read_open1": (ctypes.c_int, (_PTR,)),
    "archive_read_next_header": (ctypes.c_int, (_PTR, ctypes.POINTER(_PTR))),
    "archive_read_data_block": (ctypes.c_int, (_PTR, ctypes.POINTER(_PTR), ctypes.POINTER(ctypes.c_size_t), ctypes.POINTER(_INT64))),
    "archive_error_string": (ctypes.c_char_p, (_PTR,)),
    "archive_version_details": (ctypes.c_char_p, ()),
    "archive_entry_pathname": (ctypes.c_char_p, (_PTR,)),
    "archive_entry_symlink": (ctypes.c_char_p, (_PTR,)),
    "archive_entry_hardlink": (ctypes.c_char_p, (_PTR,)),
    "archive_entry_filetype": (ctypes.c_uint, (_PTR,)),
    "archive_entry_size": (_INT64, (_PTR,)),
    "archive_entry_size_is_set": (ctypes.c_int, (_PTR,)),
    "archive_entry_is_encrypted": (ctypes.c_int, (_PTR,)),
}
_TIMES = ("mtime", "atime", "ctime", "birthtime")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveEntry:
    """One member as libarchive states it.

    Attributes:
        path: path as stored; names that the format holds as UTF-16 in UTF-8. Empty where it could not be read.
        kind: what it is.
        size: stated size in bytes; None if none is stated.
        times: its times.
        link_target: of a symbolic or hard link, where it points, escaped; None for others.
        is_encrypted: whether its content is encrypted.
    """

    path: bytes
    kind: Kind
    size: int | None
    times: Times
    link_target: str | None
    is_encrypted: bool


@functools.cache
def _library() -> ctypes.CDLL:
    # The module is linked to the libarchive beside it, so looking up a name in its handle finds that one and no other.
    library = ctypes.CDLL(archi.__file__)
    times = {
        f"archive_entry_{name}{suffix}": (result, (_PTR,))
        for name in _TIMES
        for suffix, result in (("", _INT64), ("_nsec", ctypes.c_long), ("_is_set", ctypes.c_int))
    }
    for name, (result, arguments) in {**_SIGNATURES, **times}.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def version_details() -> str:
    """Version of libarchive and of the decoders that it uses."""
    stated: bytes = _library().archive_version_details()
    return stated.decode("ascii", "replace")


def in_whole_seconds(times: Times) -> Times:
    """`as_stated_in_zone`, without fractions of a second."""
    times = as_stated_in_zone(times)
    modified = times.modified
    return Times(modified=modified // 1_000_000_000 * 1_000_000_000 if isinstance(modified, int) else modified)


def as_stated_in_zone(times: Times) -> Times:
    """The times as they are stored, taken as UTC: libarchive took them as of the machine's time zone (mktime), which is undone."""
    return Times(
        created=_undone(times.created),
        modified=_undone(times.modified),
        accessed=_undone(times.accessed),
        metadata_changed=_undone(times.metadata_changed),
    )


def _undone(value: int | OutOfRange | None) -> int | OutOfRange | None:
    if not isinstance(value, int):
        return value
    seconds, fraction = divmod(value, 1_000_000_000)
    return calendar.timegm(time.localtime(seconds)) * 1_000_000_000 + fraction


class ArchiveReader:
    """Reads one archive from front to back; close it.

    Ask for an entry, then for its blocks or not, then for the next entry.

    Attributes:
        odd_headers: how many headers were damaged and passed over, or could not be read whole.
        first_odd: what libarchive said of the first of them; "" if there is none.
    """

    def __init__(self, file: BinaryIO, size: int, formats: tuple[str, ...], filters: tuple[str, ...] = ()) -> None:
        """Of `file`, `size` bytes long.

        Args:
            file: the archive.
            size: its size in bytes.
            formats: libarchive's names of the formats to try: "tar", "7zip", …
            filters: libarchive's names of the compressions to take off first: "lz4", …

        Raises:
            ArchiveError: it is of none of these formats.
        """
        self._library = _library()
        self._file, self._size, self._position = file, size, 0
        self._block: Any = None
        self._failure = ""
        self.odd_headers, self.first_odd = 0, ""
        self._archive = self._library.archive_read_new()
        self._callbacks = _Read(self._read), _Skip(self._skip), _Seek(self._seek)
        for kind in (*(f"format_{name}" for name in formats), *(f"filter_{name}" for name in filters)):
            getattr(self._library, f"archive_read_support_{kind}").argtypes = (_PTR,)
            getattr(self._library, f"archive_read_support_{kind}")(self._archive)
        for kind, callback in zip(("read", "skip", "seek"), self._callbacks, strict=True):
            getattr(self._library, f"archive_read_set_{kind}_callback")(self._archive, callback)
        self._library.archive_read_set_callback_data(self._archive, None)  # it makes the place that opening looks at
        if self._library.archive_read_open1(self._archive) < _WARN:
            error = self._error()
            self.close()
            raise error

    def close(self) -> None:
        """Gives back what libarchive holds. Nothing may be asked afterwards."""
        if self._archive:
            self._library.archive_read_free(self._archive)
            self._archive = None

    def next_entry(self) -> ArchiveEntry | None:
        """The next entry; None behind the last.

        Raises:
            ArchiveError: the archive is damaged here, and nothing behind can be read.
        """
        entry = _PTR()
        for _ in range(self._size // _SMALLEST_HEADER + 2):
            with _utf8_locale():
                result = self._library.archive_read_next_header(self._archive, ctypes.byref(entry))
                if result == _EOF:
                    return None
                if result in (_OK, _WARN):
                    if result == _WARN:
                        self._note(str(self._error()))
                    return self._entry(entry)
            if result != _RETRY:
                break
            self._note(str(self._error()))
        raise self._error()

    def blocks(self) -> Iterator[bytes]:
        """The bytes of the entry that was given last, holes as zeros, in blocks.

        Raises:
            ArchiveError: they are damaged, cut off, encrypted or of a compression that libarchive does not know.
        """
        data, length, offset = _PTR(), ctypes.c_size_t(), _INT64()
        done = 0
        while True:
            result = self._library.archive_read_data_block(self._archive, ctypes.byref(data), ctypes.byref(length), ctypes.byref(offset))
            if result not in (_OK, _WARN, _EOF):
                raise self._error()
            while done < offset.value:  # a hole; at its end when the entry ends with one
                zeros = min(offset.value - done, _BLOCK_BYTES)
                done += zeros
                yield bytes(zeros)
            if result == _EOF:
                return
            if result == _WARN:
                raise self._error()  # the checksum is wrong
            for start in range(0, length.value, _BLOCK_BYTES):
                block = ctypes.string_at((data.value or 0) + start, min(_BLOCK_BYTES, length.value - start))
                done += len(block)
                yield block

    def _note(self, odd: str) -> None:
        self.odd_headers += 1
        self.first_odd = self.first_odd or odd

    def _entry(self, entry: Any) -> ArchiveEntry:
        of = self._library
        target = of.archive_entry_hardlink(entry)
        kind = Kind.LINK if target is not None else _KINDS.get(of.archive_entry_filetype(entry), Kind.UNKNOWN)
        target = of.archive_entry_symlink(entry) if target is None and kind is Kind.LINK else target
        modified, accessed, changed, created = (self._time(entry, name) for name in _TIMES)
        return ArchiveEntry(
            path=of.archive_entry_pathname(entry) or b"",
            kind=kind,
            size=of.archive_entry_size(entry) if of.archive_entry_size_is_set(entry) else None,
            times=Times(created=created, modified=modified, accessed=accessed, metadata_changed=changed),
            link_target=None if target is None else escape_text(target.decode("utf-8", "backslashreplace")),
            is_encrypted=bool(of.archive_entry_is_encrypted(entry)),
        )

    def _time(self, entry: Any, name: str) -> int | OutOfRange | None:
        if not getattr(self._library, f"archive_entry_{name}_is_set")(entry):
            return None
        seconds = getattr(self._library, f"archive_entry_{name}")(entry)
        return from_unix(seconds, getattr(self._library, f"archive_entry_{name}_nsec")(entry))

    def _error(self) -> ArchiveError:
        stated = self._library.archive_error_string(self._archive) or b"libarchive gives no reason"
        return ArchiveError(self._failure or escape_text(stated.decode("utf-8", "backslashreplace")))

    # Nothing may be raised into C: a failure is kept and told as -30.

    def _read(self, _archive: Any, _data: Any, into: Any) -> int:
        try:
            self._file.seek(self._position)
            block = self._file.read(min(_BLOCK_BYTES, self._size - self._position))
        except (OSError, ValueError) as error:
            self._failure = f"the archive cannot be read at byte {self._position}: {error}"
            return _FATAL
        self._position += len(block)
        self._block = ctypes.create_string_buffer(block, len(block) or 1)  # kept until the next call, as read(3) asks
        into[0] = ctypes.addressof(self._block)
        return len(block)

    def _skip(self, _archive: Any, _data: Any, count: int) -> int:
        step = max(min(count, self._size - self._position), 0)
        self._position += step
        return step

    def _seek(self, _archive: Any, _data: Any, offset: int, whence: int) -> int:
        position = offset + (0, self._position, self._size)[whence]
        if not 0 <= position <= self._size:
            return _FATAL
        self._position = position
        return position


@functools.cache
def _libc() -> ctypes.CDLL | None:
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "newlocale"):
        return None
    libc.newlocale.restype, libc.newlocale.argtypes = _PTR, (ctypes.c_int, ctypes.c_char_p, _PTR)
    libc.uselocale.restype, libc.uselocale.argtypes = _PTR, (_PTR,)
    return libc


_OF_THREAD = threading.local()


@contextmanager
def _utf8_locale() -> Iterator[None]:
    """UTF-8 as the thread's character set, into which libarchive turns names, so that they do not depend on the machine's."""
    libc = _libc()
    if libc is None:
        yield
        return
    if not hasattr(_OF_THREAD, "utf8"):
        _OF_THREAD.utf8 = libc.newlocale(_LC_CTYPE_MASK, b"C.UTF-8", None)
    if not _OF_THREAD.utf8:
        yield
        return
    before = libc.uselocale(_OF_THREAD.utf8)
    try:
        yield
    finally:
        libc.uselocale(before)
