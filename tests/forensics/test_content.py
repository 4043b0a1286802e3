"""One pass over a stream: digests, spool, holes, memory of equal contents, and what happens when reading or room ends."""

from __future__ import annotations

import hashlib
import resource
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensics.content import BLOCK_BYTES, ContentReader, ContentResult, Scan, scan_seconds
from forensics.errors import StreamReadError
from forensics.rule_externals import Externals
from forensics.yara_rules import RuleSet, load_rules

_NEEDLE = b"needle-across-the-window"


@dataclass
class Memory:
    """A stream over bytes, with holes of zeros behind them, that may end early or give short reads."""

    data: bytes
    holes: int = 0
    fails_at: int | None = None
    longest: int = 1 << 30
    reads: int = field(default=0)

    @property
    def size(self) -> int:
        return len(self.data) + self.holes

    def read_at(self, offset: int, length: int) -> bytes:
        self.reads += 1
        if self.fails_at is not None and offset >= self.fails_at:
            message = "bad sector"
            raise StreamReadError(message)
        end = min(offset + min(length, self.longest), self.size, self.fails_at or self.size)
        part = self.data[offset:end]
        return part + bytes(end - offset - len(part))


def _externals(_: bytes) -> Externals:
    return Externals.of_path("folder/name.txt", windows=False, filetype="", owner="0")


def _rules(folder: Path, text: str) -> RuleSet:
    folder.mkdir(exist_ok=True)
    (folder / "rule.yar").write_text(text)
    return load_rules([folder])[0]


@pytest.fixture
def needle(tmp_path: Path) -> RuleSet:
    return _rules(tmp_path / "rules", f'rule needle {{ strings: $a = "{_NEEDLE.decode()}" condition: $a }}')


def _read(stream: Memory, spool: Path, *, rules: RuleSet | None = None, window: int = 1 << 20) -> ContentResult:
    return ContentReader(rules=rules, spool=spool, window_bytes=window).read(stream, _externals)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(data=st.binary(max_size=5000), longest=st.integers(1, 5000), window=st.integers(0, 6000))
def test_digests_do_not_depend_on_how_a_stream_is_cut(tmp_path: Path, data: bytes, longest: int, window: int) -> None:
    """Law 5: short reads and a window of any size give hashlib's digests of the whole."""
    result = _read(Memory(data, longest=max(longest, len(data) // 50 + 1)), tmp_path, window=window)
    assert result.md5 == hashlib.md5(data).hexdigest()
    assert result.sha1 == hashlib.sha1(data).hexdigest()
    assert result.sha256 == hashlib.sha256(data).hexdigest()
    assert (result.bytes_read, result.is_whole) == (len(data), True)


def test_digests_are_those_of_sha256sum_for_known_bytes(tmp_path: Path) -> None:
    # FIPS 180-2, appendix B.3: one million letters a.
    result = _read(Memory(b"a" * 10**6), tmp_path, window=1000)
    assert result.sha256 == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
    assert result.sha1 == "34aa973cd4c4daa4f61eeb2bdbad27316534016f"


@pytest.mark.parametrize("window", [1, 1000, 1 << 20, 5 << 20])
def test_yara_sees_a_match_across_the_window_and_at_the_very_end(tmp_path: Path, needle: RuleSet, window: int) -> None:
    data = bytearray(3 << 20)
    for place in (window - 5, BLOCK_BYTES - 5, len(data) - len(_NEEDLE)):
        if 0 <= place <= len(data) - len(_NEEDLE):
            data[place : place + len(_NEEDLE)] = _NEEDLE
    result = _read(Memory(bytes(data)), tmp_path, rules=needle, window=window)
    expected = [n for n in range(len(data)) if data.startswith(_NEEDLE, n)]
    assert [match.offset for match in result.matches] == expected
    assert result.scan is Scan.COMPLETE


def test_a_large_sparse_stream_takes_no_room_and_is_scanned_to_its_end(tmp_path: Path, needle: RuleSet) -> None:
    spooled: list[int] = []

    class Looking(Memory):
        def read_at(self, offset: int, length: int) -> bytes:
            spooled.extend(path.stat().st_blocks * 512 for path in tmp_path.glob("stream-*"))
            return super().read_at(offset, length)

    stream = Looking(_NEEDLE + bytes(BLOCK_BYTES), holes=300 << 20)
    result = _read(stream, tmp_path, rules=needle, window=1 << 20)
    assert result.bytes_read == stream.size
    assert [match.offset for match in result.matches] == [0]
    assert max(spooled) <= 8 << 20, "holes must stay holes in the temporary copy"


def test_the_spool_is_empty_afterwards(tmp_path: Path, needle: RuleSet) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    for stream in (Memory(bytes(3 << 20)), Memory(b"x" * (3 << 20), fails_at=2 << 20)):
        _read(stream, spool, rules=needle)
        assert list(spool.iterdir()) == []


def test_equal_contents_are_scanned_once(tmp_path: Path, needle: RuleSet) -> None:
    reader = ContentReader(rules=needle, spool=tmp_path)
    first = reader.read(Memory(_NEEDLE), _externals)
    (tmp_path / "rules" / "rule.yar").unlink()
    again = reader.read(Memory(_NEEDLE), _externals)
    assert again == first
    assert len(reader._seen) == 1


def test_memory_of_contents_is_bounded(tmp_path: Path) -> None:
    reader = ContentReader(rules=None, spool=tmp_path, cached=3)
    for number in range(10):
        reader.read(Memory(b"%d" % number), _externals)
    assert len(reader._seen) == 3


def test_a_stream_that_ends_early_is_partial_and_says_where(tmp_path: Path, needle: RuleSet) -> None:
    result = _read(Memory(_NEEDLE + bytes(3 << 20), fails_at=(1 << 20) + 7), tmp_path, rules=needle)
    assert (result.scan, result.is_whole, result.bytes_read) == (Scan.PARTIAL, False, (1 << 20) + 7)
    assert len(result.matches) == 1, "what was found before the damage counts"
    (problem,) = result.problems
    assert problem.start_byte == (1 << 20) + 7
    assert problem.size_bytes == len(_NEEDLE) + (3 << 20) - (1 << 20) - 7
    assert "bad sector" in problem.why


def test_a_stream_of_which_nothing_can_be_read_never_looks_like_one_without_hits(tmp_path: Path, needle: RuleSet) -> None:
    """Law 4."""
    result = _read(Memory(b"x" * 100, fails_at=0), tmp_path, rules=needle)
    assert (result.scan, result.bytes_read, result.is_whole) == (Scan.FAILED, 0, False)


def test_a_stream_that_gives_no_bytes_and_no_error_ends(tmp_path: Path) -> None:
    """A reader that breaks its word must not hang a run."""

    class Empty(Memory):
        def read_at(self, offset: int, length: int) -> bytes:  # noqa: ARG002 - the protocol's names
            return b""

    result = _read(Empty(b"x" * 10), tmp_path)
    assert not result.is_whole
    assert result.problems


def test_without_rules_nothing_is_scanned_and_that_is_said(tmp_path: Path) -> None:
    assert _read(Memory(b"x"), tmp_path).scan is Scan.SKIPPED
    assert _read(Memory(b"x", fails_at=0), tmp_path).scan is Scan.SKIPPED


def test_an_empty_stream_is_whole(tmp_path: Path, needle: RuleSet) -> None:
    result = _read(Memory(b""), tmp_path, rules=needle)
    assert (result.scan, result.bytes_read, result.entropy) == (Scan.COMPLETE, 0, None)
    assert result.sha256 == hashlib.sha256().hexdigest()


def test_rules_that_ask_for_a_name_are_asked_for_each_name(tmp_path: Path) -> None:
    rules = _rules(tmp_path / "rules", 'rule named { condition: filename == "evil.txt" }')
    reader = ContentReader(rules=rules, spool=tmp_path)
    names = ("evil.txt", "good.txt", "evil.txt")
    hits = [
        len(reader.read(Memory(b"same"), lambda _, name=name: Externals.of_path(name, windows=False, filetype="", owner="0")).matches)
        for name in names
    ]
    assert hits == [1, 0, 1]


_FULL_DISK = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from forensics.content import ContentReader
from forensics.yara_rules import load_rules
from test_content import Memory, _externals
rules = load_rules([Path(sys.argv[2])])[0]
reader = ContentReader(rules=rules, spool=Path(sys.argv[1]), window_bytes=1000)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), int(sys.argv[4])))
result = reader.read(Memory(b"y" * int(sys.argv[5])), _externals)
print(result.scan, result.bytes_read, result.sha256, [p.code for p in result.problems], list(Path(sys.argv[1]).iterdir()))
"""


@pytest.mark.parametrize(("limit", "size"), [(1 << 20, 5 << 20), (2000, 4000), (0, 1001), (1 << 20, (1 << 20) + 100)])
def test_no_room_for_the_temporary_copy_is_a_problem_and_the_digests_stand(tmp_path: Path, limit: int, size: int) -> None:
    """RLIMIT_FSIZE stops a file's growth as a full disk does (setrlimit(2): EFBIG), also inside Python's write buffer."""
    spool = tmp_path / "spool"
    spool.mkdir()
    _rules(tmp_path / "rules", "rule every { condition: true }")
    arguments = [spool, tmp_path / "rules", Path(__file__).parent, limit, size]
    answer = subprocess.run([sys.executable, "-c", _FULL_DISK, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip() == f"failed {size} {hashlib.sha256(b'y' * size).hexdigest()} ['temporary-space'] []"


def test_a_scan_may_take_longer_the_more_there_is_to_scan() -> None:
    assert scan_seconds(0) == 180
    assert scan_seconds(100 << 20) == 380


def test_reading_never_holds_the_whole_stream(tmp_path: Path) -> None:
    """Half a gigabyte through a window of a megabyte, under a limit of new memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _read(Memory(b"", holes=512 << 20), tmp_path, window=1 << 20)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 128 << 10
