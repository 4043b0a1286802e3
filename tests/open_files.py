"""What this process has open: for tests that nothing stays open."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

FOLDER = Path("/proc/self/fd")
can_be_listed = pytest.mark.skipif(not FOLDER.is_dir(), reason="the system does not list open files")


def open_files() -> Counter[str]:
    """What each open descriptor leads to, and how often."""
    found: Counter[str] = Counter()
    for descriptor in os.listdir(FOLDER):  # noqa: PTH208 - numbers, not paths
        try:
            found[os.readlink(FOLDER / descriptor)] += 1  # noqa: PTH115 - may be a pipe
        except FileNotFoundError:  # the one by which the folder itself was listed
            continue
    return found


def left_open(before: Counter[str]) -> Counter[str]:
    """What is open now and was not before. What earlier tests held may be closed meanwhile."""
    return open_files() - before
