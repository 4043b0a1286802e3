"""What went wrong or was lost while artifacts were read, gathered into a bounded number of problems.

dissect reports the failure of an item only through `logging`, and often thousands of times the same. So equal remarks become
one problem with a count, and beyond a bound the rest become one problem that says how many they are.
"""

from __future__ import annotations

import logging
import re
import sys
import warnings
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from forensics.boundary import crash_behind
from forensics.errors import Problem, Stage
from forensics.names import escape_text

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_REMARKS = 200
_MOST_CHARACTERS = 600
_LOGGERS = ("dissect", "dissect.target.target", "flow")
# Where an object lies in memory differs from run to run, and a target without a path is all that we ever open.
_ADDRESS = re.compile(r" at 0x[0-9a-f]+(?=>)")
_TARGET = re.compile(r"^<Target [^>]*>: ")
# What is no failure: a data disk has no operating system, a small disk no partition table, and a function that gathers from many
# programs finds that some were never used.
_EXPECTED = re.compile(
    r"Failed to find OS plugin|Can't identify volume system or no volumes found"
    r"|Subplugin \S+ is not compatible with target$"
)
# Exceptions of dissect.target that say the same; known by name, since its owner file is dissect_source.py.
_NOT_APPLICABLE = frozenset({"PluginNotFoundError", "UnsupportedPluginError"})
# dissect warns also where a program or a version of Windows never made the file, table or key that it looks for.
_ABSENT = re.compile(r"does not exist|not found|(could not|cannot) find", re.IGNORECASE)
_VOLUME = re.compile(r"Can't identify filesystem: |Failed to open an encrypted volume |Failed to open APFS volume ")
# These say what a library is going to change, nothing of the evidence.
_OF_THE_LIBRARY = (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ResourceWarning, SyntaxWarning, ImportWarning)


class Remarks:
    """Remarks on one function (or on opening the image), as problems of the stage artifacts.

    Attributes:
        function: name of the function, which becomes the problems' path; empty for the opening.
        known: what dissect has reported before, and is not taken again.
    """

    def __init__(self, function: str, known: frozenset[str] = frozenset()) -> None:
        self.function = function
        self.known = known
        self._counts: Counter[tuple[str, str, str, str]] = Counter()
        self._left_out = 0

    def note(self, code: str, what: str, why: str, advice: str = "") -> None:
        """Takes one remark; equal ones are counted."""
        self._counts[code, what, _shown(why), advice] += 1
        if len(self._counts) > MOST_REMARKS:
            # The last in order goes, so what is kept does not depend on which came first.
            self._left_out += self._counts.pop(max(self._counts))

    def note_message(self, text: str, *, error: bool = False) -> None:
        """Takes a message of dissect's own."""
        text = _shown(text)
        if text in self.known or _EXPECTED.match(text):
            return
        if _VOLUME.match(text):
            self.note("artifact-volume", "no artifacts are read from a volume", text)
        elif _ABSENT.search(text):
            self.note("artifact-absent", "something that dissect looks for is not there", text)
        else:
            self.note("dissect-error" if error else "dissect-warning", "dissect reports that it could not read something", text)

    def messages(self) -> frozenset[str]:
        """The causes taken so far, as `known` takes them."""
        return frozenset(why for _, _, why, _ in self._counts)

    def problems(self) -> tuple[Problem, ...]:
        """The remarks as problems, sorted, each with its count where it came more than once."""
        found = [
            self._problem(code, what, why if count == 1 else f"{why} ({count} times)", advice)
            for (code, what, why, advice), count in sorted(self._counts.items())
        ]
        if self._left_out:
            what = f"{self._left_out} further remarks are not listed one by one"
            found.append(self._problem("more-remarks", what, f"only {MOST_REMARKS} are kept, the first in alphabetical order", ""))
        return tuple(found)

    def _problem(self, code: str, what: str, why: str, advice: str) -> Problem:
        return Problem(stage=Stage.ARTIFACTS, code=code, what=what, why=why, advice=advice, path=self.function)


class _Listener(logging.Handler):
    def __init__(self, remarks: Remarks) -> None:
        super().__init__(logging.WARNING)
        self._remarks = remarks

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except (TypeError, ValueError):  # a message whose placeholders do not fit its arguments
            text = str(record.msg)
        # dissect tells the cause only at the level debug, yet it logs while it handles the exception.
        cause = sys.exc_info()[1]
        crash = crash_behind(cause)
        if crash is None and type(cause).__name__ in _NOT_APPLICABLE:
            return
        cause = crash or cause
        if cause is not None and str(cause) not in text:
            text = f"{text} ({type(cause).__name__}: {cause})"
        self._remarks.note_message(text, error=record.levelno >= logging.ERROR)


@contextmanager
def listening(remarks: Remarks) -> Iterator[None]:
    """While this lasts, each warning or error that dissect logs, and each Python warning on data, is a remark.

    Inside another one, only the inner takes them. Loggers belong to the process, so only one function at a time may run in it.
    """
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [(logger, logger.level, logger.propagate, logger.handlers) for logger in loggers]
    listener = _Listener(remarks)
    for logger in loggers:
        # dissect silences its main logger when nothing is configured.
        logger.setLevel(logging.WARNING)
        logger.handlers, logger.propagate = [listener], False
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            for category in _OF_THE_LIBRARY:
                warnings.simplefilter("ignore", category)
            yield
        for warning in caught:
            remarks.note_message(str(warning.message))
    finally:
        for logger, level, propagate, handlers in before:
            logger.setLevel(level)
            logger.handlers, logger.propagate = handlers, propagate


def _shown(text: str) -> str:
    text = escape_text(_ADDRESS.sub("", _TARGET.sub("", text)))
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}… ({len(text)} characters)"
