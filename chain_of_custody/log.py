"""The writer of the log file: one line at a time, under a lock, whole and synced or not at all.

Order, which every crash must leave in a state that the next writer understands:
    1. Take the lock (custody/.lock). A waiting writer gives up after a time and says who is meant.
    2. Read the end of the log and compare it with the high-water mark: shorter or different is refused (RollbackError).
       Longer is read on line by line: a crash between log and mark, or another signer.
    3. Bytes after the last LF are a torn write: saved to recovered/, noted in the mark, cut. A complete bad line is never repaired.
    4. One write on O_APPEND|O_NOFOLLOW, then fsync. A short or failed write is cut back, and this writer writes no more.
    5. Replace the mark atomically.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from chain_of_custody.encoding import sha256_hex
from chain_of_custody.envelope import MAX_LINE_BYTES, STATEMENT_TYPE, leaf_hash, parse_line
from chain_of_custody.errors import FormatError, LogBusyError, LogDamagedError, LogError, LogWriteError, RollbackError
from chain_of_custody.high_water import Mark, Torn, read_mark, write_mark
from chain_of_custody.regular_file import sync_folder, write_once
from chain_of_custody.statement import parse_body
from chain_of_custody.tail import Tail, advance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOG_NAME = "custody.intoto.jsonl"
_OPEN = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
LOCK_SECONDS = 60.0


class CustodyLog:
    """A log file that several processes may append to.

    Attributes:
        stopped: whether a write failed, after which nothing more is written through this object.
    """

    def __init__(self, custody: Path, state: Path, *, lock_seconds: float = LOCK_SECONDS) -> None:
        self.custody = custody
        self.state = state
        self.stopped = False
        self._lock_seconds = lock_seconds

    @contextlib.contextmanager
    def locked(self, *, new_origin: str | None = None) -> Iterator[OpenLog]:
        """The log, open at its checked end, while no other process writes.

        Args:
            new_origin: the name under which a log that does not exist is made; None if it must exist.

        Raises:
            LogBusyError: another process holds the lock for too long.
            LogDamagedError, RollbackError: the log is not what was written.
            LogError: there is no log, or a write failed before.
        """
        if self.stopped:
            message = "a write to the custody log failed before; nothing more is recorded, so nothing more may be processed"
            raise LogError(message)
        lock = FileLock(self.custody / ".lock", timeout=self._lock_seconds, fallback_to_soft=False)
        try:
            lock.acquire()
        except Timeout as error:
            message = f"another process is writing the custody log {self.custody / LOG_NAME}; wait for it to end"
            raise LogBusyError(message) from error
        except OSError as error:
            message = f"the custody folder {self.custody} cannot be written: {error.strerror}"
            raise LogError(message) from error
        try:
            # A log that was begun has checkpoints; if it is gone, an empty new one must not take its place.
            self._check_state()
            with self._descriptor(create=new_origin is not None and not self.has_checkpoints()) as descriptor:
                yield OpenLog(self, descriptor, new_origin)
        finally:
            lock.release()

    def _check_state(self) -> None:
        """Sees to it that the mark can be kept, before an entry is written that it must name."""
        heads = self.state / "heads"
        try:
            heads.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            message = f"the state folder {self.state} cannot be written: {error.strerror}; set EVIDEX_STATE_DIR to one that can"
            raise LogError(message) from error
        if not os.access(heads, os.W_OK | os.X_OK):
            message = f"the state folder {heads} cannot be written; set EVIDEX_STATE_DIR to one that can"
            raise LogError(message)

    def has_checkpoints(self) -> bool:
        """Whether a checkpoint was ever made, so that there must be a log."""
        return any((self.custody / "checkpoints").glob("*.note"))

    def is_begun(self) -> bool:
        """Whether there is anything of a log, so that its roster must be there too."""
        return (self.custody / LOG_NAME).exists() or self.has_checkpoints()

    @contextlib.contextmanager
    def _descriptor(self, *, create: bool) -> Iterator[int]:
        path = self.custody / LOG_NAME
        try:
            descriptor = _open_log(path, create=create)
        except FileNotFoundError as error:
            message = f"there is no custody log at {path}"
            raise LogError(message) from error
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENXIO, errno.EISDIR}:
                message = f"the custody log {path} is a link or no regular file"
                raise LogDamagedError(message) from error
            message = f"the custody log {path} cannot be written: {error.strerror}"
            raise LogError(message) from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                message = f"the custody log {path} is no regular file"
                raise LogDamagedError(message)
            yield descriptor
        finally:
            os.close(descriptor)


@dataclass(slots=True)
class OpenLog:
    """A log under its lock. `tail` is its checked end; `undeclared` are torn bytes that log.recovered must declare.

    A log without any line has a tail of size 0 under the origin given for a new one.
    """

    log: CustodyLog
    descriptor: int
    new_origin: str | None
    tail: Tail = None  # type: ignore[assignment]  # set by __post_init__, which needs the descriptor
    undeclared: tuple[Torn, ...] = ()

    def __post_init__(self) -> None:
        length = os.fstat(self.descriptor).st_size
        complete = _complete_length(self.descriptor, length)
        try:
            mark = self._read_to(complete)
        except FormatError as error:
            message = f"the custody log is damaged and is not continued: {error} ({error.code}); run verify"
            raise LogDamagedError(message) from error
        self.tail, self.undeclared = mark.tail, mark.undeclared
        if complete < length:
            self._set_torn_bytes_aside(complete, length)

    def append(self, line: bytes) -> Tail:
        """The tail after `line` (without LF) was written, synced and marked.

        Raises:
            LogWriteError: it could not be; the log is as before, and this writer stops.
            FormatError: the line does not continue the log; nothing was written.
        """
        if len(line) >= MAX_LINE_BYTES:
            raise FormatError(code="E_LINE_SIZE", why=f"an entry of {len(line)} bytes; at most 1 MiB with its LF is possible")
        tail = advance(self.tail, line)
        try:
            written = os.write(self.descriptor, line + b"\n")
            if written != len(line) + 1:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # noqa: TRY301  # a short write is a failed one
            os.fsync(self.descriptor)
        except OSError as error:
            self.log.stopped = True
            os.ftruncate(self.descriptor, self.tail.end_byte)
            os.fsync(self.descriptor)
            message = (
                f"entry {self.tail.size} could not be written to the custody log: {error.strerror}; nothing of it is left, work stops here"
            )
            raise LogWriteError(message) from error
        self.tail = tail
        self._keep_mark()
        return tail

    def declare(self, line: bytes) -> Tail:
        """The tail after `line`, a log.recovered for the first of the undeclared torn bytes, was written."""
        waiting, self.undeclared = self.undeclared, self.undeclared[1:]
        try:
            return self.append(line)
        except LogWriteError:
            self.undeclared = waiting
            raise

    def _keep_mark(self) -> None:
        try:
            write_mark(self.log.state, Mark(tail=self.tail, undeclared=self.undeclared))
        except OSError as error:
            self.log.stopped = True
            message = f"the record of what was last written cannot be kept in {self.log.state}: {error.strerror}; work stops here"
            raise LogWriteError(message) from error

    def _read_to(self, complete: int) -> Mark:
        if complete == 0:
            return Mark(tail=Tail(origin=self._origin_of_new_log()))
        origin = parse_body(parse_line(_line_at(self.descriptor, 0), STATEMENT_TYPE).body).origin
        mark = read_mark(self.log.state, origin)
        if mark is None:
            return Mark(tail=_read_on(self.descriptor, Tail(origin=origin), complete))
        self._check_not_rolled_back(mark.tail, complete)
        return Mark(tail=_read_on(self.descriptor, mark.tail, complete), undeclared=mark.undeclared)

    def _origin_of_new_log(self) -> str:
        if self.new_origin is None or self.log.has_checkpoints():
            message = "the custody log is empty although it was begun; put back a copy of it, and run verify"
            raise RollbackError(message)
        return self.new_origin

    def _check_not_rolled_back(self, marked: Tail, complete: int) -> None:
        if complete < marked.end_byte:
            message = (
                f"the custody log is shorter than was written from here ({marked.size} entries): an old copy, or cut; nothing is appended"
            )
            raise RollbackError(message)
        last = _line_before(self.descriptor, marked.end_byte)
        if leaf_hash(last).hex() != marked.leaf:
            message = f"entry {marked.size - 1} of the custody log is not what was written from here; nothing is appended to it"
            raise RollbackError(message)

    def _set_torn_bytes_aside(self, complete: int, length: int) -> None:
        torn = os.pread(self.descriptor, length - complete, complete)
        digest = sha256_hex(torn)
        folder = self.log.custody / "recovered"
        try:
            folder.mkdir(exist_ok=True)
            write_once(folder / digest, torn)
            found = Torn(sha256=digest, size_bytes=len(torn))
            self.undeclared = (*(known for known in self.undeclared if known != found), found)
            # Before the cut: after a crash in between, the bytes are torn again and set aside again, and not forgotten.
            if self.tail.size:
                self._keep_mark()
            os.ftruncate(self.descriptor, complete)
            os.fsync(self.descriptor)
        except OSError as error:
            self.log.stopped = True
            message = f"a torn entry of the custody log cannot be set aside in {folder}: {error.strerror}"
            raise LogWriteError(message) from error


def _open_log(path: Path, *, create: bool) -> int:
    if create:
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, _OPEN | os.O_CREAT | os.O_EXCL, 0o644)
            sync_folder(path.parent)
            return descriptor
    return os.open(path, _OPEN)


def _complete_length(descriptor: int, length: int) -> int:
    """The length up to and with the last LF.

    Raises:
        LogDamagedError: more bytes than a line may have follow the last LF.
    """
    start = max(0, length - MAX_LINE_BYTES - 1)
    end = os.pread(descriptor, length - start, start)
    if b"\n" in end:
        return start + end.rindex(b"\n") + 1
    if start:
        message = "the custody log ends in more bytes than an entry may have; it is not continued; run verify"
        raise LogDamagedError(message)
    return 0


def _line_at(descriptor: int, start: int) -> bytes:
    data = os.pread(descriptor, MAX_LINE_BYTES + 1, start)
    if b"\n" not in data:
        raise FormatError(code="E_LINE_SIZE", why="a line of more than 1 MiB")
    return data[: data.index(b"\n")]


def _line_before(descriptor: int, end: int) -> bytes:
    start = max(0, end - MAX_LINE_BYTES - 1)
    data = os.pread(descriptor, end - 1 - start, start)
    return data[data.rfind(b"\n") + 1 :]


def _read_on(descriptor: int, tail: Tail, complete: int) -> Tail:
    with os.fdopen(os.dup(descriptor), "rb") as stream:
        stream.seek(tail.end_byte)
        while tail.end_byte < complete:
            line = stream.readline(MAX_LINE_BYTES + 1)
            if not line.endswith(b"\n"):
                raise FormatError(code="E_LINE_SIZE", why=f"entry {tail.size} has more than 1 MiB")
            tail = advance(tail, line[:-1])
    return tail
