from __future__ import annotations

import json
import re
from collections import deque
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from chain_of_custody.events import Event
from forensics import schema
from pipelines.report.errors import ReportError
from pipelines.report.write import write_report

from .case_builder import COVERAGE, EXHIBIT, MOMENT, NS, RUN, SOURCE, build_case, custody_line, entry, hit, moment, problem

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = (
    "/<script>alert(1)</script>",
    "/javascript:alert(1)",
    "/=cmd()|' /C calc'!A0",
    "/esc\x1b[31mred",
    "/bidi\u202egpj.exe",
    "/line\nbreak",
    r"/invalid\xff\xfe",
    "/" + "n" * 5000,
    '/"><img src=x onerror=alert(1)>',
    "/' onmouseover='alert(1)",
    "/{{ 7 * 7 }}{% raw %}",
    "/https://evil.example/x",
    "/--><!--",
    "/&lt;b&gt;",
    "/../../../etc/passwd",
)
# HTML, "void elements" and those whose content is no text.
VOID = {"meta", "link", "br", "rect", "line", "img", "input", "hr"}
ACTING = {
    "script",
    "iframe",
    "object",
    "embed",
    "form",
    "input",
    "button",
    "img",
    "video",
    "audio",
    "base",
    "style",
    "template",
    "foreignobject",
}


class Page(HTMLParser):
    """What a browser would find on a page: elements, identifiers, links, the policy, text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    @property
    def ids(self) -> list[str]:
        return [attrs["id"] or "" for _, attrs in self.elements if "id" in attrs]

    @property
    def links(self) -> list[str]:
        return [attrs["href"] or "" for _, attrs in self.elements if "href" in attrs]


def pages(index: Path) -> dict[str, Page]:
    return {one.name: Page(one.read_text(encoding="utf-8")) for one in index.parent.glob("*.html")}


def hostile_case(case: Path) -> Path:
    """Every place that evidence can reach holds every hostile text."""
    columns = pa.schema([*schema.ARTIFACT_FIELDS, pa.field("ts", schema.TIME), pa.field("name", pa.string()), pa.field("raw", pa.binary())])
    texts = list(enumerate(HOSTILE, 10))
    source = {"segments": list(HOSTILE), "segment_sizes": [1] * len(HOSTILE), "header_values": [(text, text) for text in HOSTILE]}
    records = [
        {"exhibit": EXHIBIT, "record_type": text, "source_path": text, "ts": MOMENT, "name": text, "raw": text.encode()} for text in HOSTILE
    ]
    described = ("link_target", "description", "mime_type", "stream")
    build_case(
        case,
        sources=[SOURCE | source | {"mismatch_accepted": HOSTILE[0], "digest_match": "mismatch"}],
        entries=[entry(number, text, hits=1, recovery="deleted name", **dict.fromkeys(described, text)) for number, text in texts],
        hits=[hit(number, text, rule="R", stream=text, meta=[("description", text)], matched=text.encode()) for number, text in texts],
        problems=[
            problem(metadata_address=number, **dict.fromkeys(("what", "why", "advice", "path", "stream"), text)) for number, text in texts
        ],
        timeline=[moment(MOMENT + number, path=text, description=text, stream=text) for number, text in texts],
        artifacts={"artifact_users": (columns, records)},
    )
    facts = {
        **dict.fromkeys(("profile", "case_number", "agency", "exhibit"), "".join(HOSTILE[:6])),
        **{key: {text: text for text in HOSTILE} for key in ("versions", "rules", "limits", "elsewhere")},
        "tool": {"name": HOSTILE[0], "version": HOSTILE[4]},
        "examiner": {"name": HOSTILE[8]},
    }
    (case / "runs" / RUN / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    lines = [
        custody_line(
            0,
            Event.LOG_INIT,
            subject=HOSTILE[0],
            purpose=HOSTILE[8],
            basis=HOSTILE[4],
            location=HOSTILE[9],
            details={HOSTILE[0]: list(HOSTILE)},
        )
    ]
    (case / "custody" / "custody.intoto.jsonl").write_bytes(b"\n".join([*lines, HOSTILE[0].encode()]) + b"\n")
    return case


@pytest.fixture(scope="module")
def hostile_pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    return pages(write_report(hostile_case(tmp_path_factory.mktemp("hostile") / "case"), RUN))


def test_nothing_from_evidence_can_act(hostile_pages: dict[str, Page]) -> None:
    for name, page in hostile_pages.items():
        for tag, attrs in page.elements:
            assert tag not in ACTING, name
            assert not any("://" in (value or "") for value in attrs.values()), (name, tag, attrs)
            assert not any(one.startswith("on") or one in {"style", "src", "srcset", "action", "ping", "xlink:href"} for one in attrs), (
                name,
                tag,
                attrs,
            )


def test_every_element_is_closed_where_it_should_be(hostile_pages: dict[str, Page]) -> None:
    assert all(page.open == [] for page in hostile_pages.values())


def test_every_link_stays_inside_the_report_and_resolves(hostile_pages: dict[str, Page]) -> None:
    for name, page in hostile_pages.items():
        for link in page.links:
            target, _, fragment = link.partition("#")
            if target == "style.css":
                continue
            assert (target or name) in hostile_pages, (name, link)
            assert not fragment or fragment in hostile_pages[target or name].ids, (name, link)


def test_identifiers_are_unique_on_each_page(hostile_pages: dict[str, Page]) -> None:
    for name, page in hostile_pages.items():
        assert len(page.ids) == len(set(page.ids)), name


def test_every_page_can_be_reached_from_the_first(hostile_pages: dict[str, Page]) -> None:
    reached, waiting = {"index.html"}, deque(["index.html"])
    while waiting:
        for link in hostile_pages[waiting.popleft()].links:
            target = link.partition("#")[0]
            if target in hostile_pages and target not in reached:
                reached.add(target)
                waiting.append(target)
    assert reached == set(hostile_pages)


def test_every_page_forbids_everything_but_its_own_style(hostile_pages: dict[str, Page]) -> None:
    for page in hostile_pages.values():
        policies = [
            attrs["content"] for tag, attrs in page.elements if tag == "meta" and attrs.get("http-equiv") == "Content-Security-Policy"
        ]
        assert policies == ["default-src 'none'; style-src 'self' file:; base-uri 'none'; form-action 'none'"]


def test_pages_say_their_language_and_have_one_first_heading(hostile_pages: dict[str, Page]) -> None:
    for page in hostile_pages.values():
        assert page.elements[0] == ("html", {"lang": "en"})
        assert [tag for tag, _ in page.elements].count("h1") == 1


def test_every_table_has_a_caption_and_every_heading_cell_a_scope(hostile_pages: dict[str, Page]) -> None:
    for name, page in hostile_pages.items():
        tags = [tag for tag, _ in page.elements]
        assert tags.count("table") == tags.count("caption"), name
        assert all(attrs.get("scope") in {"row", "col", "colgroup"} for tag, attrs in page.elements if tag == "th"), name


def test_no_hidden_character_reaches_a_page(hostile_pages: dict[str, Page]) -> None:
    for page in hostile_pages.values():
        assert not set("".join(page.words)) & set("\x1b\u202e\u2066\u200b")


def test_hostile_names_can_be_read_as_they_are(hostile_pages: dict[str, Page]) -> None:
    text = hostile_pages["files-all-0001.html"].text
    for name in HOSTILE:
        shown = name[:300].replace("\x1b", r"\x1b").replace("\u202e", r"\u202e").replace("\n", r"\x0a")
        assert shown in text
    assert "5,001 characters in all" in text


def test_page_names_come_from_us_alone(hostile_pages: dict[str, Page]) -> None:
    assert all(name.removesuffix(".html").replace("-", "").replace("_", "").isalnum() and name.isascii() for name in hostile_pages)


def test_page_one_answers_in_the_order_of_the_questions(small_case: Path) -> None:
    page = pages(write_report(small_case, RUN))["index.html"]
    wanted = ["examined", "unchanged", "found", "unread", "custody", "verify", "limits", "words"]
    assert [one for one in page.ids if one in wanted] == wanted


def test_page_one_names_digests_rules_users_problems_and_head(small_case: Path) -> None:
    text = pages(write_report(small_case, RUN))["index.html"].text
    for words in (
        str(SOURCE["sha256"]),
        "Tool_Trace",
        "alice",
        "unreadable (1)",
        "adds up to the image",
        "10 MB (10,000,000 bytes)",
        "2 files and folders listed",
    ):
        assert words in text


def test_hit_and_problem_link_to_the_row_of_their_file(small_case: Path) -> None:
    found = pages(write_report(small_case, RUN))
    for name in ("hits-001-0001.html", "problem-rows-0001.html"):
        links = [link for link in found[name].links if link.startswith("files-all-0001.html#v01-5-")]
        assert len(links) == 1
        assert links[0].partition("#")[2] in found["files-all-0001.html"].ids


def test_deleted_files_are_marked_and_listed(small_case: Path) -> None:
    found = pages(write_report(small_case, RUN))
    assert "deleted, name of its folder lost" in found["files-deleted-0001.html"].text
    assert "/b" in found["files-deleted-0001.html"].text
    assert [attrs.get("class") for tag, attrs in found["files-all-0001.html"].elements if tag == "tr" and "id" in attrs] == [None, "gone"]


def test_what_lies_inside_files_and_in_free_space_is_not_called_deleted(tmp_path: Path) -> None:
    entries = [
        entry(5, "/a.zip"),
        entry(5, "/a.zip//b", recovery="archive member"),
        entry(0, "$Carved/1.png", recovery="carved"),
        entry(0, "$Unallocated/1", recovery="unallocated", kind="virtual"),
        entry(6, "/gone", recovery="deleted metadata", overwritten=True),
        entry(7, "/$Recycle.Bin/S-1/$RX.txt", original_path="C:\\plan.txt"),
    ]
    found = pages(write_report(build_case(tmp_path / "case", entries=entries), RUN))
    assert "5 files and folders listed, 1 of them deleted, 1 inside other files, 1 found in free space" in found["index.html"].text
    assert "/a.zip//b" in found["files-inside-0001.html"].text
    assert "$Carved/1.png" in found["files-carved-0001.html"].text
    assert "space of it is in use again" in found["files-deleted-0001.html"].text
    assert "it was C:\\plan.txt" in found["files-all-0001.html"].text
    marked = [attrs.get("class") for tag, attrs in found["files-all-0001.html"].elements if tag == "tr" and "id" in attrs]
    assert marked == [None, None, None, None, "gone", None]


def test_digest_that_differs_is_said_aloud(tmp_path: Path) -> None:
    case = build_case(tmp_path / "case", sources=[SOURCE | {"stated_md5": "0" * 32, "digest_match": "mismatch", "unchanged": False}])
    text = pages(write_report(case, RUN))["index.html"].text
    assert "NOT equal to the copy that was made" in text
    assert "CHANGED during this examination" in text
    assert "DIFFERENT" in text


def test_ranges_that_do_not_add_up_are_said_aloud(tmp_path: Path) -> None:
    case = build_case(tmp_path / "case", coverage=[COVERAGE[0]])
    found = pages(write_report(case, RUN))
    assert "does NOT add up" in found["index.html"].text
    assert "do NOT add up" in found["coverage.html"].text


def test_a_run_that_reads_no_contents_does_not_look_like_one_that_found_nothing(tmp_path: Path) -> None:
    skipped = [one | {"state": "skipped", "streams_read": 0, "streams_skipped": one["streams"], "bytes_read": 0} for one in COVERAGE]
    found = pages(write_report(build_case(tmp_path / "case", coverage=skipped, hits=[], problems=[]), RUN))
    text = found["index.html"].text
    assert "Not searched" in text
    assert "No content was read, so none was hashed or searched" in text
    assert "0 YARA rules" not in text
    assert "No YARA rule matches" not in text
    assert "No rule matches" not in found["hits.html"].text
    assert "0 % was processed, 100 % skipped" in text.replace("0.0 %", "0 %")


def test_collected_files_are_not_called_a_copy_of_a_disk(tmp_path: Path) -> None:
    case = build_case(tmp_path / "case", sources=[SOURCE | {"container": "folder"}])
    text = pages(write_report(case, RUN))["index.html"].text
    assert "collected as files and not as a copy of its disk" in text
    assert "An image" not in text


def test_the_ledger_shows_streams_inside_others(tmp_path: Path) -> None:
    case = build_case(tmp_path / "case", coverage=[COVERAGE[0] | {"streams_inside": 60_512, "inside_failed": 60_512}, *COVERAGE[1:]])
    assert pages(write_report(case, RUN))["coverage.html"].text.count("60,512") == 4  # in its row and in the sums


def test_demonstration_identity_is_said_on_every_page(small_case: Path) -> None:
    log = small_case / "custody" / "custody.intoto.jsonl"
    log.write_bytes(custody_line(0, Event.LOG_INIT, origin="demonstration.invalid/case/1") + b"\n")
    for name, page in pages(write_report(small_case, RUN)).items():
        assert "Demonstration only." in page.text, name


def test_without_a_demonstration_identity_no_page_speaks_of_one(small_case: Path) -> None:
    assert not any("Demonstration only." in page.text for page in pages(write_report(small_case, RUN)).values())


def test_thirty_thousand_rows_are_paged(tmp_path: Path) -> None:
    rows = [entry(number, f"/f{number:05d}") for number in range(30_000)]
    index = write_report(build_case(tmp_path / "case", entries=rows, parts=3), RUN)
    listed = sorted(index.parent.glob("files-all-*.html"))
    assert len(listed) == 60
    shown = [anchor for page in listed for anchor in re.findall(r'<tr id="([^"]*)"', page.read_text(encoding="utf-8"))]
    assert len(shown) == len(set(shown)) == 30_000
    assert "/f29999" in Page(listed[-1].read_text(encoding="utf-8")).text
    assert "30,000 files and folders listed" in Page(index.read_text(encoding="utf-8")).text


def test_more_rows_than_are_shown_are_said_with_the_way_to_get_them(tmp_path: Path) -> None:
    rows = [moment(MOMENT + number * NS) for number in range(50_001)]
    index = write_report(build_case(tmp_path / "case", timeline=rows), RUN)
    text = Page((index.parent / "timeline-rows-0001.html").read_text(encoding="utf-8")).text
    assert "50,000 of 50,001 rows are shown" in text
    assert "evidex query CASE \"SELECT * FROM timeline WHERE exhibit = 'KH-1' ORDER BY time\"" in text
    assert "Rows 2 to 501 of 50,001." in text


@pytest.mark.parametrize("absent", [False, True])
def test_empty_and_absent_tables_give_a_whole_report(tmp_path: Path, *, absent: bool) -> None:
    case = build_case(tmp_path / "case", sources=[], volumes=[], coverage=[])
    if absent:
        for one in (case / "runs" / RUN / "tables").glob("*/*.parquet"):
            one.unlink()
    text = pages(write_report(case, RUN))["index.html"].text
    assert "No rule matches" in text
    assert "No problem was recorded" in text
    assert "is not recorded" in text


def test_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    contents = []
    for name in ("one", "two"):
        index = write_report(hostile_case(tmp_path / name), RUN)
        contents.append({one.name: one.read_bytes() for one in index.parent.iterdir()})
    assert contents[0] == contents[1]


def test_writing_again_replaces_the_report_as_a_whole(small_case: Path) -> None:
    index = write_report(small_case, RUN)
    (index.parent / "stale.html").write_text("old")
    assert write_report(small_case, RUN) == index
    assert not (index.parent / "stale.html").exists()
    assert [one.name for one in (small_case / "reports").iterdir()] == [RUN]


def test_number_of_parts_changes_nothing(tmp_path: Path) -> None:
    rows = [entry(number, f"/f{number}", hits=number % 2) for number in range(50)]
    hits = [hit(number, f"/f{number}") for number in range(1, 50, 2)]
    contents = []
    for parts in (1, 7):
        index = write_report(build_case(tmp_path / str(parts), entries=rows, hits=hits, parts=parts), RUN)
        contents.append({one.name: one.read_bytes() for one in index.parent.iterdir()})
    assert contents[0] == contents[1]


@pytest.mark.parametrize("run", ["", ".", "..", "../runs/001-KH-1", "002-KH-1", "001-KH-1/tables"])
def test_a_run_that_is_not_there_is_refused(small_case: Path, run: str) -> None:
    with pytest.raises(ReportError, match="has no run"):
        write_report(small_case, run)


@pytest.mark.parametrize("content", [None, "no json", "[]"])
def test_a_run_without_its_facts_is_refused(small_case: Path, content: str | None) -> None:
    path = small_case / "runs" / RUN / "run.json"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(ReportError, match=r"run\.json"):
        write_report(small_case, RUN)


@pytest.mark.parametrize("table", ["timeline", "entries", "hits", "problems", "artifact_users", "sources"])
@pytest.mark.parametrize("place", ["whole", "data"])
def test_a_broken_table_is_refused_and_leaves_no_half_report(small_case: Path, table: str, place: str) -> None:
    part = next((small_case / "runs" / RUN / "tables" / table).iterdir())
    data = bytearray(part.read_bytes())
    # Apache Parquet format, "File format": "PAR1", the columns' pages, the footer, its length in four bytes, "PAR1".
    end = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    data[4:end] = b"\xff" * (end - 4)
    part.write_bytes(b"PAR1 no parquet PAR1" if place == "whole" else bytes(data))
    with pytest.raises(ReportError, match=table):
        write_report(small_case, RUN)
    assert list((small_case / "reports").iterdir()) == []


def test_facts_that_the_run_does_not_state_are_said_to_be_unrecorded(small_case: Path) -> None:
    (small_case / "runs" / RUN / "run.json").write_text(json.dumps({"exhibit": EXHIBIT}))
    text = pages(write_report(small_case, RUN))["index.html"].text
    assert "case not recorded" in text


def test_artifact_values_keep_their_types(tmp_path: Path) -> None:
    columns = pa.schema(
        [
            *schema.ARTIFACT_FIELDS,
            pa.field("runs", pa.list_(schema.TIME)),
            pa.field("size", pa.int64(), metadata={"unit": "bytes"}),
            pa.field("names", pa.list_(pa.string())),
            pa.field("flag", pa.bool_()),
        ]
    )
    record: dict[str, Any] = {
        "exhibit": EXHIBIT,
        "record_type": "x",
        "runs": [MOMENT, None],
        "size": 1234567,
        "names": ["a", "b"],
        "flag": False,
    }
    case = build_case(tmp_path / "case", artifacts={"artifact_something_new": (columns, [record, record | {"runs": None}])})
    text = pages(write_report(case, RUN))["artifact_something_new-0001.html"].text
    for words in ("2021-03-04 10:11:12.1234567", "1,234,567", "no"):
        assert words in text


def test_digest_of_a_stream_that_is_left_in_part_says_so(tmp_path: Path) -> None:
    entries = [entry(5, "/a", recovery="deleted metadata", bytes_read=1000), entry(6, "/b")]
    text = pages(write_report(build_case(tmp_path / "case", entries=entries), RUN))["files-all-0001.html"].text
    assert f"SHA-256 of the 1,000 bytes read {entries[0]['sha256']}" in text
    assert f"SHA-256 {entries[1]['sha256']}" in text
