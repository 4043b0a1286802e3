"""One pass over one stream -> digests, type, entropy, YARA hits.

The stream is read once, in blocks. What fits the window stays in memory; what does not is spooled to a temporary file once, its
holes kept, so that YARA sees the whole content however large it is. Contents that this process has seen before (by SHA-256) are
not typed or scanned again; rules that look at a file's name are, for each name.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from forensics.entropy import ByteCounts
from forensics.errors import ArchiveError, Problem, ScanError, ScanTimeoutError, Stage, StreamReadError
from forensics.filetype import detect
from forensics.readable import BLOCK_BYTES, Hole, iter_readable
from forensics.spooled import SpooledContent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from forensics.filesystems.base import Stream
    from forensics.rule_externals import Externals
    from forensics.rule_match import Match
    from forensics.yara_rules import RuleSet

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
    """What one pass over a stream gave; digests cover the `bytes_read` bytes that could be read, the whole stream if `is_whole`."""

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
        with self.opened(iter_readable(stream), stream.size, externals) as (result, _):
            return result

    @contextmanager
    def opened(
        self, blocks: Iterator[bytes | Hole] | Iterator[bytes], size: int | None, externals: Callable[[bytes], Externals]
    ) -> Iterator[tuple[ContentResult, SpooledContent]]:
        """One pass over the blocks; gives its result, and the bytes for as long as it is entered.

        What cannot be read is zeros to YARA, so that places behind it are right, and in no digest.

        Args:
            blocks: the content in order, and the holes in it; raises StreamReadError or ArchiveError where it cannot be read on.
            size: how many bytes it should have; None where nothing states it.
            externals: as for `read`.
        """
        with ExitStack() as cleanup:
            content = SpooledContent(self.spool, self.window_bytes, cleanup)
            digests = hashlib.md5(usedforsecurity=False), hashlib.sha1(usedforsecurity=False), hashlib.sha256()
            counts = ByteCounts()
            read, failure = 0, None
            try:
                for block in blocks:
                    if isinstance(block, Hole):
                        content.skip(block.size)
                        failure = failure or block.why
                        continue
                    for digest in digests:
                        digest.update(block)
                    counts.add(block)
                    content.write(block)
                    read += len(block)
            except (StreamReadError, ArchiveError) as error:
                failure = failure or str(error)
            if failure is None and size is not None and read != size:
                failure = f"it has {read} bytes, and {size} are stated"
            content.complete()
            md5, sha1, sha256 = (digest.hexdigest() for digest in digests)
            analysis = self._analyse(sha256, content)
            named, named_problems, finished = self._scan_named(content, externals)
            scan = analysis.scan if finished else Scan.FAILED
            problems = [*analysis.problems, *named_problems]
            if failure is not None:
                scan = Scan.PARTIAL if read and scan is Scan.COMPLETE else scan if scan is Scan.SKIPPED else Scan.FAILED
                problems.append(_unreadable(read, size, failure, content.holes))
            result = ContentResult(
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
            yield result, content

    def _analyse(self, sha256: str, buffer: SpooledContent) -> _Analysis:
        """Type and hits of the content, from memory of an equal one where there is one."""
        if buffer.holes:  # the digest is that of what could be read, wherever it lies
            return self._analyse_anew(buffer)
        known = self._seen.get(sha256)
        if known is None:
            known = self._seen[sha256] = self._analyse_anew(buffer)
        self._seen.move_to_end(sha256)
        if len(self._seen) > self.cached:
            self._seen.popitem(last=False)
        return known

    def _analyse_anew(self, buffer: SpooledContent) -> _Analysis:
        found = detect(buffer.head())
        analysis = _Analysis(mime_type=found.mime_type, description=found.description, scan=Scan.SKIPPED, matches=(), problems=())
        if self.rules is not None:
            analysis = self._scan_content(self.rules, analysis, buffer)
        return analysis

    def _scan_content(self, rules: RuleSet, analysis: _Analysis, buffer: SpooledContent) -> _Analysis:
        if buffer.spool_failure is not None:
            return replace(analysis, scan=Scan.FAILED, problems=(_no_spool(buffer),))
        capped: list[Problem] = []
        try:
            matches = rules.scan_content(buffer.source(), timeout_seconds=scan_seconds(buffer.size), on_problem=capped.append)
        except (ScanTimeoutError, ScanError) as error:
            return replace(analysis, scan=Scan.FAILED, problems=(_not_scanned(error),))
        return replace(analysis, scan=Scan.COMPLETE, matches=matches, problems=tuple(capped))

    def _scan_named(
        self, buffer: SpooledContent, externals: Callable[[bytes], Externals]
    ) -> tuple[tuple[Match, ...], tuple[Problem, ...], bool]:
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


def iter_blocks(stream: Stream) -> Iterator[bytes]:
    """The stream's bytes in order.

    Raises:
        StreamReadError: they cannot be read on.
    """
    read = 0
    while read < stream.size:
        block = stream.read_at(read, BLOCK_BYTES)
        if not block:  # a reader that breaks its word must not hang a run
            message = f"the reader gave nothing at byte {read}"
            raise StreamReadError(message)
        yield block
        read += len(block)


def scan_seconds(size: int) -> int:
    """How long a scan of `size` bytes may take: 180 s and 2 s a megabyte."""
    return 180 + 2 * (size >> 20)


def _unreadable(read: int, size: int | None, why: str, holes: Sequence[tuple[int, int]]) -> Problem:
    missing = None if size is None or size < read else size - read
    return Problem(
        stage=Stage.CONTENT,
        code="stream-unreadable",
        what=f"{'what follows byte ' + str(read) if missing is None else f'{missing} of {size} bytes'} of a file could not be read",
        why=why,
        advice="read the sectors with another tool; if the image is damaged, go back to the original",
        start_byte=holes[0][0] if holes else read,
        size_bytes=missing,
    )


def _not_scanned(error: Exception) -> Problem:
    return Problem(
        stage=Stage.YARA,
        code="scan-failed",
        what="a file could not be scanned with YARA; it may hold what the rules look for",
        why=str(error),
        advice="scan the file alone, with a longer time limit or fewer rules",
    )


def _no_spool(buffer: SpooledContent) -> Problem:
    return Problem(
        stage=Stage.YARA,
        code="temporary-space",
        what="a large file could not be scanned with YARA; it was hashed",
        why=f"no room for a temporary copy of {buffer.size} bytes: {buffer.spool_failure}",
        advice="make room in the temporary folder (TMPDIR) and run again",
    )
