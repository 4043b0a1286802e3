import json
import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.errors import RuleError, ScanError, ScanTimeoutError, Stage
from forensics.rule_externals import Externals
from forensics.yara_rules import RuleSet, load_rules

LIMIT = 60


def _rules(folder: Path, **files: str) -> RuleSet:
    rule_set, problems = _load(folder, **files)
    assert problems == ()
    return rule_set


def _load(folder: Path, **files: str):
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.yar").write_text(text, encoding="utf-8")
    return load_rules([folder])


def _hits(rule_set: RuleSet, source) -> list[tuple[str, str]]:
    return [(m.namespace, m.rule) for m in rule_set.scan_content(source, timeout_seconds=LIMIT)]


def test_a_hit_says_rule_file_tags_meta_string_place_and_bytes(tmp_path):
    text = 'rule shell : web php { meta: author = "me" score = 75 sure = true strings: $a = "eval(" condition: $a }'
    (match,) = _rules(tmp_path, a=text).scan_content(b"<?php eval($x);", timeout_seconds=LIMIT)
    assert (match.rule, match.namespace, match.tags) == ("shell", "a.yar", ("web", "php"))
    assert match.meta == (("author", "me"), ("score", "75"), ("sure", "true"))
    assert (match.string, match.offset, match.length, match.matched, match.instances) == ("$a", 6, 5, b"eval(", 1)


def test_a_repeated_meta_key_keeps_all_its_values(tmp_path):
    rule_set = _rules(tmp_path, a='rule x { meta: hash = "one" hash = "two" condition: true }')
    assert rule_set.scan_content(b"", timeout_seconds=LIMIT)[0].meta == (("hash", "one\ntwo"),)


def test_a_rule_that_matches_without_a_string_gives_one_match_without_one(tmp_path):
    (match,) = _rules(tmp_path, a="rule small { condition: filesize < 10 }").scan_content(b"abc", timeout_seconds=LIMIT)
    assert (match.rule, match.string, match.offset, match.length, match.matched, match.instances) == ("small", None, None, None, None, None)


def test_an_empty_content_is_scanned_too(tmp_path):
    rule_set = _rules(tmp_path, a="rule empty { condition: filesize == 0 }")
    (tmp_path / "nothing").touch()
    assert _hits(rule_set, b"") == _hits(rule_set, tmp_path / "nothing") == [("a.yar", "empty")]


def test_a_private_string_is_not_shown_and_a_private_rule_neither(tmp_path):
    text = 'private rule base { strings: $a = "abc" condition: $a } rule x { strings: $p = "abc" private condition: base and $p }'
    (match,) = _rules(tmp_path, a=text).scan_content(b"abc", timeout_seconds=LIMIT)
    assert (match.rule, match.string) == ("x", None)


def test_64_instances_are_kept_and_all_are_counted(tmp_path):
    matches = _rules(tmp_path, a='rule x { strings: $a = "ab" condition: $a }').scan_content(b"ab" * 100, timeout_seconds=LIMIT)
    assert [m.offset for m in matches] == [2 * i for i in range(64)]
    assert {m.instances for m in matches} == {100}


def test_an_instance_that_the_condition_rules_out_is_none(tmp_path):
    # `yara -s` 4.2.3 prints 0x0 alone: a string used only with `at` is looked for there only.
    matches = _rules(tmp_path, a='rule x { strings: $a = "ab" condition: $a at 0 }').scan_content(b"ab--ab", timeout_seconds=LIMIT)
    assert [(m.offset, m.instances) for m in matches] == [(0, 1)]


def test_matched_bytes_are_bounded_and_the_length_is_not(tmp_path):
    rule_set = _rules(tmp_path, a="rule x { strings: $a = /a[^b]{300}b/ condition: $a }")
    (match,) = rule_set.scan_content(b"a" + b"x" * 300 + b"b", timeout_seconds=LIMIT)
    assert (match.length, match.matched) == (302, b"a" + b"x" * 127)


def test_where_yara_stops_counting_there_is_no_count_but_a_problem(tmp_path):
    # YR_MAX_STRING_MATCHES in libyara/include/yara/limits.h is 1,000,000.
    problems = []
    rule_set = _rules(tmp_path, zeros="rule x { strings: $a = { 00 00 00 00 } condition: $a }")
    matches = rule_set.scan_content(bytes(1_000_100), timeout_seconds=LIMIT, on_problem=problems.append)
    assert len(matches) == 64
    assert {m.instances for m in matches} == {None}
    assert [(p.stage, p.code) for p in problems] == [(Stage.YARA, "too-many-matches")]
    assert all(word in problems[0].what for word in ("$a", "rule x", "zeros.yar"))


def test_matches_are_ordered_by_file_rule_offset_and_string(tmp_path):
    rule_set = _rules(
        tmp_path,
        b='rule a { strings: $z = "one" $b = "two" $a = "t" condition: any of them } rule A { condition: true }',
        a='rule z { strings: $ = "one" $ = "two" condition: any of them }',
    )
    matches = rule_set.scan_content(b"two one", timeout_seconds=LIMIT)
    assert [(m.namespace, m.rule, m.string, m.offset) for m in matches] == [
        ("a.yar", "z", "$", 0),
        ("a.yar", "z", "$", 4),
        ("b.yar", "A", None, None),
        ("b.yar", "a", "$a", 0),
        ("b.yar", "a", "$b", 0),
        ("b.yar", "a", "$z", 4),
    ]


@given(content=st.binary(max_size=300))
def test_bytes_view_and_file_give_the_same_matches(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("same")
    rule_set = _rules(folder, a="rule x { strings: $a = { 00 } $b = { 01 ?? 02 } condition: any of them or filesize > 200 }")
    (folder / "content").write_bytes(content)
    expected = rule_set.scan_content(content, timeout_seconds=LIMIT)
    assert rule_set.scan_content(memoryview(content), timeout_seconds=LIMIT) == expected
    assert rule_set.scan_content(folder / "content", timeout_seconds=LIMIT) == expected


def test_a_path_that_is_not_utf8_is_scanned(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe"))
    path.write_bytes(b"needle")
    assert _hits(_rules(tmp_path, a='rule x { strings: $a = "needle" condition: $a }'), path) == [("a.yar", "x")]


def test_a_file_that_cannot_be_opened_is_an_error_and_never_a_scan_without_hits(tmp_path):
    rule_set = _rules(tmp_path, a="rule x { condition: true }")
    with pytest.raises(ScanError, match="could not be opened"):
        rule_set.scan_content(tmp_path / "gone", timeout_seconds=LIMIT)
    with pytest.raises(ScanError, match="could not be opened"):
        rule_set.scan_content(tmp_path, timeout_seconds=LIMIT)


def test_a_scan_beyond_its_limit_is_an_error_of_its_own(tmp_path):
    loop = "for all i in (0..100000000): (for all j in (0..100000000): (i + j >= 0))"
    rule_set = _rules(tmp_path, a=f"rule slow {{ condition: {loop} }}")
    with pytest.raises(ScanTimeoutError, match="longer than 1 s"):
        rule_set.scan_content(b"x", timeout_seconds=1)


def test_rules_do_not_write_on_the_terminal(tmp_path, capfd):
    rule_set = _rules(tmp_path, a='import "console" rule x { condition: console.log("\\x1b[2Jevidence") }')
    assert _hits(rule_set, b"x") == [("a.yar", "x")]
    assert capfd.readouterr() == ("", "")


def test_a_bad_file_is_named_with_its_line_and_the_others_stay(tmp_path):
    rule_set, problems = _load(tmp_path, bad="rule x {\n condition: nonsense\n}", good="rule y { condition: true }")
    assert _hits(rule_set, b"") == [("good.yar", "y")]
    assert [(p.stage, p.code, p.path) for p in problems] == [(Stage.YARA, "rule-compile", "bad.yar")]
    assert "line 2" in problems[0].why
    assert "nonsense" in problems[0].why


def test_a_file_without_a_rule_is_a_problem(tmp_path):
    problems = _load(tmp_path, none="// nothing yet", good="rule y { condition: true }")[1]
    assert [(p.code, p.path) for p in problems] == [("rule-empty", "none.yar")]


def test_a_file_that_reads_the_clock_is_used_and_a_problem_says_so(tmp_path):
    rule_set, problems = _load(tmp_path, clock='import "time"\nrule x { condition: time.now() > 0 }', good="rule y { condition: true }")
    assert _hits(rule_set, b"") == [("clock.yar", "x"), ("good.yar", "y")]
    assert [(p.code, p.path) for p in problems] == [("rule-clock", "clock.yar")]


def test_include_is_refused_and_the_file_named(tmp_path):
    (tmp_path / "lib.txt").write_text("rule hidden { condition: true }")
    rule_set, problems = _load(
        tmp_path, reads=f'include "{tmp_path}/lib.txt"\nrule x {{ condition: true }}', good="rule y { condition: true }"
    )
    assert [f.namespace for f in rule_set.files] == ["good.yar"]
    assert [(p.code, p.path) for p in problems] == [("rule-compile", "reads.yar")]
    assert "includes are disabled" in problems[0].why


def test_no_usable_rule_is_an_error_that_says_what_is_wrong_with_the_first(tmp_path):
    with pytest.raises(RuleError, match=r"bad\.yar: line 1"):
        _load(tmp_path, bad="rule {")
    with pytest.raises(RuleError, match="no folder"):
        load_rules([])


def test_equal_rule_names_in_two_files_are_two_rules(tmp_path):
    rule_set = _rules(tmp_path, a="rule x { condition: true }", b="rule x { condition: true }")
    assert _hits(rule_set, b"") == [("a.yar", "x"), ("b.yar", "x")]
    assert rule_set.rule_count == 2


def test_a_global_rule_acts_on_its_own_file_only(tmp_path):
    # The same as `yara a:a.yar b:b.yar CONTENT` 4.2.3 prints.
    rule_set = _rules(
        tmp_path,
        a="global rule only_large { condition: filesize > 100 } rule in_a { condition: true }",
        b="rule in_b { condition: true }",
    )
    assert _hits(rule_set, b"small") == [("b.yar", "in_b")]
    assert _hits(rule_set, b"x" * 101) == [("a.yar", "in_a"), ("a.yar", "only_large"), ("b.yar", "in_b")]


def test_rules_that_ask_for_a_name_are_told_from_those_that_do_not(tmp_path):
    rule_set = _rules(
        tmp_path,
        content='rule owner { strings: $a = "filename" condition: $a } // filepath',
        named='rule by_name { condition: filename == "a.exe" } rule beside { condition: true }',
    )
    assert [(f.namespace, f.uses_externals) for f in rule_set.files] == [("content.yar", False), ("named.yar", True)]
    assert _hits(rule_set, b"filename") == [("content.yar", "owner")]
    named = rule_set.scan_named(b"filename", Externals(filename="a.exe"), timeout_seconds=LIMIT)
    assert [m.rule for m in named] == ["beside", "by_name"]
    assert [m.rule for m in rule_set.scan_named(b"", Externals(filename="b.exe"), timeout_seconds=LIMIT)] == ["beside"]


@pytest.mark.parametrize("name", ["filename", "filepath", "extension", "filetype", "owner"])
def test_each_external_reaches_the_rules(tmp_path, name):
    rule_set = _rules(tmp_path, a=f'rule x {{ condition: {name} == "value" }}')
    assert len(rule_set.scan_named(b"", Externals(**{name: "value"}), timeout_seconds=LIMIT)) == 1
    assert rule_set.scan_named(b"", Externals(), timeout_seconds=LIMIT) == ()
    assert rule_set.scan_content(b"", timeout_seconds=LIMIT) == ()


@given(value=st.text(max_size=20))
def test_any_name_can_be_asked_for(tmp_path_factory, value):
    rule_set = _rules(tmp_path_factory.mktemp("any"), a='rule x { condition: filename != "no such name" }')
    assert len(rule_set.scan_named(b"", Externals(filename=value), timeout_seconds=LIMIT)) == 1


def test_without_rules_that_ask_for_a_name_nothing_is_scanned(tmp_path):
    rule_set = _rules(tmp_path, a="rule x { condition: true }")
    assert rule_set.scan_named(tmp_path / "is not opened", Externals(), timeout_seconds=LIMIT) == ()


def test_the_digest_follows_names_and_bytes_of_the_files_in_use(tmp_path):
    first = _rules(tmp_path / "1", a="rule x { condition: true }")
    same = _rules(tmp_path / "2", a="rule x { condition: true }")
    with_bad = _load(tmp_path / "3", a="rule x { condition: true }", bad="rule {")[0]
    changed = _rules(tmp_path / "4", a="rule x { condition: false }")
    renamed = _rules(tmp_path / "5", b="rule x { condition: true }")
    assert first.digest == same.digest == with_bad.digest
    assert len({first.digest, changed.digest, renamed.digest}) == 3


def test_warnings_of_the_compiler_name_their_file(tmp_path):
    rule_set = _rules(tmp_path, slow="rule x { strings: $a = /.*a/ condition: $a }", good="rule y { condition: true }")
    assert {namespace for namespace, _ in rule_set.warnings} == {"slow.yar"}


def test_the_engine_is_named_with_its_version(tmp_path):
    assert _rules(tmp_path, a="rule x { condition: true }").engine.startswith("yara 4.")


def test_a_saved_rule_set_loads_as_it_was(tmp_path):
    files = {"c": 'rule x { strings: $a = "ab" condition: $a }', "n": 'rule y { condition: extension == ".exe" }'}
    rule_set = _rules(tmp_path, **files)
    rule_set.save(tmp_path / "saved")
    loaded = RuleSet.load(tmp_path / "saved")
    assert (loaded.digest, loaded.engine, loaded.rule_count, loaded.files) == (rule_set.digest, rule_set.engine, 2, rule_set.files)
    assert loaded.scan_content(b"abab", timeout_seconds=LIMIT) == rule_set.scan_content(b"abab", timeout_seconds=LIMIT)
    assert [m.rule for m in loaded.scan_named(b"", Externals(extension=".exe"), timeout_seconds=LIMIT)] == ["y"]


def test_a_rule_set_does_not_pickle_so_nobody_sends_it_to_a_worker_by_mistake(tmp_path):
    with pytest.raises(TypeError):
        pickle.dumps(_rules(tmp_path, a="rule x { condition: true }"))


def _change(path: Path, key: str, value: object) -> None:
    index = json.loads(path.read_text())
    index[key] = value
    path.write_text(json.dumps(index))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "content.yarc").write_bytes((folder / "content.yarc").read_bytes()[:-1]),
        lambda folder: (folder / "content.yarc").unlink(),
        lambda folder: (folder / "rules.json").write_text("{"),
        lambda folder: (folder / "rules.json").write_text("{}"),
        lambda folder: (folder / "rules.json").unlink(),
        lambda folder: _change(folder / "rules.json", "engine", "yara 3.0.0"),
        lambda folder: _change(folder / "rules.json", "format", 0),
        lambda folder: _change(folder / "rules.json", "digest", "0" * 64),
    ],
    ids=["cut", "no rules", "no json", "empty", "no index", "engine", "format", "digest"],
)
def test_a_saved_rule_set_that_was_spoiled_is_refused(tmp_path, spoil):
    _rules(tmp_path, a="rule x { condition: true }").save(tmp_path / "saved")
    spoil(tmp_path / "saved")
    with pytest.raises(RuleError, match="saved"):
        RuleSet.load(tmp_path / "saved")
