"""A large content is scanned whole, and stays out of memory."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from forensics.scan_source import scan_buffer

if TYPE_CHECKING:
    from pathlib import Path

_SIZE = 768 << 20
_SCAN = """
import resource, sys
from pathlib import Path
import yara
from forensics.yara_rules import load_rules
rules, _ = load_rules([Path(sys.argv[1])])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = [match.offset for match in rules.scan_content(Path(sys.argv[2]), timeout_seconds=600)]
print(found, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_a_file_larger_than_memory_may_be_is_scanned_whole_in_little_of_it(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "needle.yar").write_text('rule needle { strings: $a = "a needle at the end" condition: $a }')
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(_SIZE)
        file.seek(_SIZE - 19)
        file.write(b"a needle at the end")
    done = subprocess.run([sys.executable, "-c", _SCAN, rules, large], check=True, capture_output=True, text=True)
    found, megabytes = done.stdout.rsplit(" ", 1)
    assert found == str([_SIZE - 19])
    assert int(megabytes) < (_SIZE >> 20) // 2


def test_an_empty_file_is_an_empty_content(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    with scan_buffer(empty) as content:
        assert bytes(content) == b""
