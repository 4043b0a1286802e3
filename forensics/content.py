"""One pass over one stream -> digests, type, entropy, YARA hits.

The stream is read once, in blocks. What fits the window stays in memory; what does not is spooled to a temporary file once, its
holes kept, so that YARA sees the whole content however large it is. Contents that this process has seen before (by SHA-256) are
not typed or scanned again; rules that look at a file's name are, for each name.
"""

from __future__ import annotations

import errno
import hashlib
import tempfile
from collections import OrderedDict
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.entropy import ByteCounts
from forensics.errors import Problem, ScanError, ScanTimeoutError, Stage, StreamReadError
from forensics.filetype import HEAD_BYTES, detect

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from forensics.filesystems.base import Stream
    from forensics.rule_externals import Externals
    from forensics.rule_match import Match
    from forensics.yara_rules import RuleSet

BLOCK_BYTES = 1 << 20
WINDOW_BYTES = 32 << 20
_SIGNATURE_BYTES = 8


class Scan(StrEnum):
    """How far YARA got with a stream."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentResult:
    """What one pass over a stream gave; digests cover the `bytes_read` first bytes, the whole stream if `is_whole`."""

    bytes_read: int
    is_whole: bool
    md5: str
    sha1: str
    sha256: str
    mime_type: str
    description: str
    entropy: float | None
    scan: Scan
    matches: tuple[Match, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Analysis:
    """What depends on the bytes alone."""

    mime_type: str
    description: str
    scan: Scan
    matches: tuple[Match, ...]
    problems: tuple[Problem, ...]


@dataclass(slots=True, kw_only=True)
class ContentReader:
    """Reads streams of one exhibit in one process.

    Attributes:
        rules: rules to scan with; None where the profile scans nothing.
        spool: folder for temporary files; emptied after each stream.
        window_bytes: contents up to this many bytes stay in memory.
        cached: how many analysed contents are remembered.
    """

    rules: RuleSet | None
    spool: Path
    window_bytes: int = WINDOW_BYTES
    cached: int = 50_000
    _seen: OrderedDict[str, _Analysis] = field(default_factory=OrderedDict)

    def read(self, stream: Stream, externals: Callable[[bytes], Externals]) -> ContentResult:
        """One pass over the stream.

        Args:
            stream: what to read.
            externals: first bytes -> what rules that ask for a name are told about the file.
        """
        with ExitStack() as cleanup:
            buffer = _Buffer(self.spool, self.window_bytes, cleanup)
            digests = hashlib.md5(usedforsecurity=False), hashlib.sha1(usedforsecurity=False), hashlib.sha256()
            counts = ByteCounts()
            read, failure = 0, None
            while read < stream.size:
                try:
                    block = stream.read_at(read, BLOCK_BYTES)
                except StreamReadError as error:
                    failure = str(error)
                    break
                if not block:  # a reader that breaks its word must not hang a run
                    failure = f"the reader gave nothing at byte {read}"
                    break
                for digest in digests:
                    digest.update(block)
                counts.add(block)
                buffer.write(block)
                read += len(block)
            buffer.complete()
            md5, sha1, sha256 = (digest.hexdigest() for digest in digests)
            analysis = self._analyse(sha256, buffer)
            named, named_problems, finished = self._scan_named(buffer, externals)
        scan = analysis.scan if finished else Scan.FAILED
        problems = [*analysis.problems, *named_problems]
        if failure is not None:
            scan = Scan.PARTIAL if read and scan is Scan.COMPLETE else scan if scan is Scan.SKIPPED else Scan.FAILED
            problems.append(_unreadable(read, stream.size, failure))
        return ContentResult(
            bytes_read=read,
            is_whole=failure is None,
            md5=md5,
            sha1=sha1,
            sha256=sha256,
            mime_type=analysis.mime_type,
            description=analysis.description,
            entropy=counts.entropy(),
            scan=scan,
            matches=(*analysis.matches, *named),
            problems=tuple(problems),
        )

    def _analyse(self, sha256: str, buffer: _Buffer) -> _Analysis:
        """Type and hits of the content, from memory of an equal one where there is one."""
        known = self._seen.get(sha256)
        if known is not None:
            self._seen.move_to_end(sha256)
            return known
        found = detect(buffer.head())
        analysis = _Analysis(mime_type=found.mime_type, description=found.description, scan=Scan.SKIPPED, matches=(), problems=())
        if self.rules is not None:
            analysis = self._scan_content(self.rules, analysis, buffer)
        self._seen[sha256] = analysis
        if len(self._seen) > self.cached:
            self._seen.popitem(last=False)
        return analysis

    def _scan_content(self, rules: RuleSet, analysis: _Analysis, buffer: _Buffer) -> _Analysis:
        if buffer.spool_failure is not None:
            return replace(analysis, scan=Scan.FAILED, problems=(_no_spool(buffer),))
        capped: list[Problem] = []
        try:
            matches = rules.scan_content(buffer.source(), timeout_seconds=scan_seconds(buffer.size), on_problem=capped.append)
        except (ScanTimeoutError, ScanError) as error:
            return replace(analysis, scan=Scan.FAILED, problems=(_not_scanned(error),))
        return replace(analysis, scan=Scan.COMPLETE, matches=matches, problems=tuple(capped))

    def _scan_named(self, buffer: _Buffer, externals: Callable[[bytes], Externals]) -> tuple[tuple[Match, ...], tuple[Problem, ...], bool]:
        """Matches of the rules that ask for a name, what went wrong, and whether the scan reached its end."""
        if self.rules is None or self.rules.named_rules is None or buffer.spool_failure is not None:
            return (), (), True
        capped: list[Problem] = []
        asked = externals(buffer.head()[:_SIGNATURE_BYTES])
        try:
            matches = self.rules.scan_named(buffer.source(), asked, timeout_seconds=scan_seconds(buffer.size), on_problem=capped.append)
        except (ScanTimeoutError, ScanError) as error:
            return (), (_not_scanned(error),), False
        return matches, tuple(capped), True


def scan_seconds(size: int) -> int:
    """How long a scan of `size` bytes may take: 180 s and 2 s a megabyte."""
    return 180 + 2 * (size >> 20)


class _Buffer:
    """The bytes of one stream: in memory up to the window, then in a temporary file with its holes kept."""

    def __init__(self, folder: Path, window: int, cleanup: ExitStack) -> None:
        self._folder, self._window, self._cleanup = folder, window, cleanup
        self._memory = bytearray()
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self._head = b""
        self.size = 0
        self.spool_failure: str | None = None

    def write(self, block: bytes) -> None:
        """Takes the next block."""
        self.size += len(block)
        if self.spool_failure is not None:
            return
        if self._file is None and self.size <= self._window:
            self._memory += block
            return
        try:
            self._spool(block)
        except OSError as error:
            self._give_up(error)

    def _spool(self, block: bytes) -> None:
        if self._file is None:
            # Closed and removed by `cleanup`; a name is needed, because YARA opens the file itself.
            # Unbuffered: a buffer that does not fit on a full disk would fail once more when the file is closed.
            file = self._cleanup.enter_context(tempfile.NamedTemporaryFile(dir=self._folder, prefix="stream-", buffering=0))  # noqa: SIM115
            self._file, self._path = file.file, Path(file.name)  # type: ignore[assignment]
            self._head = bytes(self._memory[:HEAD_BYTES])
            self._write_all(self._memory)
            self._memory = bytearray()
        if block.count(0) < len(block):
            self._write_all(block)
        else:  # a hole, so that a sparse file of any size takes no room
            self._file.seek(len(block), 1)  # type: ignore[union-attr]

    def _write_all(self, data: bytes | bytearray) -> None:
        """Writes on after a short write, which is how a disk that fills up shows first."""
        assert self._file is not None, "the caller has made it"
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]

    def head(self) -> bytes:
        """The first HEAD_BYTES, or all if fewer."""
        return self._head or bytes(self._memory[:HEAD_BYTES])

    def source(self) -> memoryview | Path:
        """All bytes, as YARA takes them: in memory or as a file."""
        if self._file is None or self._path is None:
            return memoryview(self._memory)
        return self._path

    def complete(self) -> None:
        """No more blocks come: a hole at the end becomes part of the file."""
        if self._file is None or self.spool_failure is not None:
            return
        try:
            self._file.truncate(self.size)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise error
        self.spool_failure = error.strerror or "no space"


def _unreadable(read: int, size: int, why: str) -> Problem:
    return Problem(
        stage=Stage.CONTENT,
        code="stream-unreadable",
        what=f"{size - read} of {size} bytes of a file could not be read",
        why=why,
        advice="read the sectors with another tool; if the image is damaged, go back to the original",
        start_byte=read,
        size_bytes=size - read,
    )


def _not_scanned(error: Exception) -> Problem:
    return Problem(
        stage=Stage.YARA,
        code="scan-failed",
        what="a file could not be scanned with YARA; it may hold what the rules look for",
        why=str(error),
        advice="scan the file alone, with a longer time limit or fewer rules",
    )


def _no_spool(buffer: _Buffer) -> Problem:
    return Problem(
        stage=Stage.YARA,
        code="temporary-space",
        what="a large file could not be scanned with YARA; it was hashed",
        why=f"no room for a temporary copy of {buffer.size} bytes: {buffer.spool_failure}",
        advice="make room in the temporary folder (TMPDIR) and run again",
    )
