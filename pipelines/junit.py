"""Test results as a JUnit XML file, for the pages that CI systems make of them.

References:
    XML 1.0, section 2.2: the characters that a document may hold; a control character may not stand in it even as a reference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Everything outside the production Char of XML 1.0, and what acts on whoever reads the file as text.
_UNFIT = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test: `failures` are lines of text, none when it passed; `error` is why it could not be run."""

    name: str
    failures: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """The tests of one sample."""

    name: str
    cases: tuple[Case, ...]


def junit_xml(suites: tuple[Suite, ...]) -> str:
    """The document; it holds no time and no host name, so equal results give equal files."""
    cases = [case for suite in suites for case in suite.cases]
    body = "".join(_suite(suite) for suite in suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="evidex replay" {_counts(cases)}>\n{body}</testsuites>\n'


def _suite(suite: Suite) -> str:
    body = "".join(_case(suite.name, case) for case in suite.cases)
    return f'  <testsuite name="{_attribute(suite.name)}" {_counts(list(suite.cases))}>\n{body}  </testsuite>\n'


def _case(suite: str, case: Case) -> str:
    head = f'    <testcase classname="replay.{_attribute(suite)}" name="{_attribute(case.name)}"'
    if case.error:
        return f'{head}>\n      <error message="{_attribute(case.error)}"/>\n    </testcase>\n'
    if not case.failures:
        return f"{head}/>\n"
    message = f"{len(case.failures)} differences"
    return f'{head}>\n      <failure message="{message}">{_text(chr(10).join(case.failures))}</failure>\n    </testcase>\n'


def _counts(cases: list[Case]) -> str:
    failures = sum(bool(case.failures) and not case.error for case in cases)
    return f'tests="{len(cases)}" failures="{failures}" errors="{sum(bool(case.error) for case in cases)}"'


def _text(text: str) -> str:
    return _UNFIT.sub(_escaped, text).translate(_MARKUP)


def _attribute(text: str) -> str:
    # A parser turns a line end inside an attribute into a space.
    return _text(text).replace("\n", "&#10;").replace("\t", "&#9;")


def _escaped(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004 - one byte
