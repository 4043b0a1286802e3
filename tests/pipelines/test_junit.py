from __future__ import annotations

from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from pipelines.junit import Case, Suite, junit_xml


def test_the_counts_say_what_failed_and_what_could_not_be_run() -> None:
    root = ET.fromstring(
        junit_xml(
            (
                Suite(name="a", cases=(Case(name="run"), Case(name="entries", failures=("one", "two")))),
                Suite(name="b", cases=(Case(name="run", error="no such file"),)),
            )
        )
    )
    assert (root.tag, root.attrib["tests"], root.attrib["failures"], root.attrib["errors"]) == ("testsuites", "3", "1", "1")
    first, second = root.findall("testsuite")
    assert (first.attrib["tests"], first.attrib["failures"], second.attrib["errors"]) == ("2", "1", "1")
    (failure,) = first.iter("failure")
    assert (failure.attrib["message"], failure.text) == ("2 differences", "one\ntwo")
    (error,) = second.iter("error")
    assert error.attrib["message"] == "no such file"
    assert [case.attrib["classname"] for case in root.iter("testcase")] == ["replay.a", "replay.a", "replay.b"]


@given(st.text(), st.text(min_size=1), st.text(min_size=1))
def test_any_text_gives_a_document_that_parses_and_keeps_what_xml_can_hold(name: str, failure: str, error: str) -> None:
    root = ET.fromstring(junit_xml((Suite(name=name, cases=(Case(name=name, failures=(failure,)), Case(name="x", error=error))),)))
    fit = set(" \n\t") | {chr(code) for code in range(0x20, 0x7F)}
    if set(name) <= fit:
        assert root.find("testsuite").attrib["name"] == name  # type: ignore[union-attr]
    if set(failure) <= fit:
        assert root.find(".//failure").text == failure  # type: ignore[union-attr]


def test_what_acts_on_a_reader_is_escaped() -> None:
    text = junit_xml((Suite(name="s", cases=(Case(name="x", failures=("\x1b[2J \u202e \x00 \x9b <script> ]]> \ud800 &amp;",)),)),))
    assert r"\x1b[2J \u202e \x00 \x9b &lt;script&gt; ]]&gt; \ud800 &amp;amp;" in text
    text.encode("utf-8")
