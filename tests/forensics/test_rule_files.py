import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics import rule_files
from forensics.errors import RuleError
from forensics.rule_files import read_rule_files, rule_files_digest

RULE = "rule one { condition: true }\n"


def _write(folder: Path, *names: str, text: str = RULE) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def _namespaces(*places: Path) -> list[str]:
    return [file.namespace for file in read_rule_files(places)[0]]


def test_rule_files_are_found_at_any_depth_in_byte_order_and_nothing_else(tmp_path):
    _write(tmp_path, "b.yar", "a/z.YARA", "a/deep/er/x.yara", "B.yar", "é.yar", "notes.txt", "c.yar.bak")
    assert _namespaces(tmp_path) == ["B.yar", "a/deep/er/x.yara", "a/z.YARA", "b.yar", "é.yar"]


def test_a_single_file_is_taken_whatever_its_ending(tmp_path):
    _write(tmp_path, "mine.txt", "other.yar")
    assert _namespaces(tmp_path / "mine.txt") == ["mine.txt"]


def test_what_is_read_is_the_file_and_its_digest(tmp_path):
    _write(tmp_path, "a.yar")
    (file,) = read_rule_files([tmp_path])[0]
    assert file.text == RULE
    assert file.sha256 == hashlib.sha256(RULE.encode()).hexdigest()


def test_links_are_not_followed_and_each_is_a_problem(tmp_path):
    outside = _write(tmp_path / "outside", "secret.yar")
    inside = _write(tmp_path / "inside", "a.yar")
    (inside / "file.yar").symlink_to(outside / "secret.yar")
    (inside / "folder").symlink_to(outside, target_is_directory=True)
    (inside / "loop").symlink_to(inside, target_is_directory=True)
    files, problems = read_rule_files([inside])
    assert [f.namespace for f in files] == ["a.yar"]
    assert sorted((p.code, p.path) for p in problems) == [("rule-link", "file.yar"), ("rule-link", "folder"), ("rule-link", "loop")]


def test_a_rule_folder_may_itself_be_a_link(tmp_path):
    _write(tmp_path / "real", "a.yar")
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    assert _namespaces(tmp_path / "link") == ["a.yar"]


def test_folders_with_different_names_keep_plain_namespaces(tmp_path):
    assert _namespaces(_write(tmp_path / "one", "a.yar"), _write(tmp_path / "two", "b.yar")) == ["a.yar", "b.yar"]


def test_folders_that_give_the_same_name_are_told_apart_by_their_own(tmp_path):
    one, two = _write(tmp_path / "one", "a.yar", "c.yar"), _write(tmp_path / "two", "a.yar")
    assert _namespaces(one, two) == ["one/a.yar", "one/c.yar", "two/a.yar"]


def test_folders_with_equal_names_are_told_apart_by_a_number(tmp_path):
    assert _namespaces(_write(tmp_path / "x/r", "a.yar"), _write(tmp_path / "y/r", "a.yar")) == ["r/a.yar", "r~2/a.yar"]


def test_a_file_reached_twice_is_read_once(tmp_path):
    _write(tmp_path, "a.yar", "sub/b.yar")
    assert _namespaces(tmp_path, tmp_path / "sub", tmp_path / "sub/b.yar", tmp_path) == ["a.yar", "sub/b.yar"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(RuleError, match="no-such-folder"):
        read_rule_files([tmp_path / "no-such-folder"])


def test_an_empty_folder_is_named_even_beside_a_full_one(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RuleError, match=r"no rule file .* in .*empty"):
        read_rule_files([_write(tmp_path / "full", "a.yar"), tmp_path / "empty"])


def test_a_fifo_is_neither_a_place_nor_a_rule_file(tmp_path):
    _write(tmp_path, "a.yar")
    os.mkfifo(tmp_path / "pipe.yar")
    files, problems = read_rule_files([tmp_path])
    assert [f.namespace for f in files] == ["a.yar"]
    assert [(p.code, p.path) for p in problems] == [("rule-unreadable", "pipe.yar")]
    with pytest.raises(RuleError, match="neither a rule folder nor a rule file"):
        read_rule_files([tmp_path / "pipe.yar"])


def test_a_file_in_another_encoding_is_a_problem_that_says_where(tmp_path):
    _write(tmp_path, "a.yar")
    (tmp_path / "latin.yar").write_bytes(b'rule x { meta: a = "caf\xe9" condition: true }')
    files, problems = read_rule_files([tmp_path])
    assert [f.namespace for f in files] == ["a.yar"]
    assert [(p.code, p.path) for p in problems] == [("rule-not-utf8", "latin.yar")]
    assert "byte 23" in problems[0].why


def test_a_nul_in_a_file_is_a_problem_because_yara_would_drop_what_follows(tmp_path):
    _write(tmp_path, "a.yar")
    _write(tmp_path, "nul.yar", text=RULE + "\0rule two { condition: true }")
    problems = read_rule_files([tmp_path])[1]
    assert [(p.code, p.path) for p in problems] == [("rule-not-utf8", "nul.yar")]


def test_a_byte_order_mark_is_taken_off_but_counts_in_the_digest(tmp_path):
    raw = b"\xef\xbb\xbf" + RULE.encode()
    (tmp_path / "bom.yar").write_bytes(raw)
    (file,) = read_rule_files([tmp_path])[0]
    assert (file.text, file.sha256) == (RULE, hashlib.sha256(raw).hexdigest())


def test_a_file_beyond_the_bound_is_a_problem(tmp_path, monkeypatch):
    monkeypatch.setattr(rule_files, "MAX_RULE_FILE_BYTES", len(RULE))
    _write(tmp_path, "a.yar")
    _write(tmp_path, "large.yar", text=RULE + " ")
    files, problems = read_rule_files([tmp_path])
    assert [f.namespace for f in files] == ["a.yar"]
    assert [(p.code, p.path) for p in problems] == [("rule-too-large", "large.yar")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_read_permission_is_a_problem(tmp_path):
    _write(tmp_path, "a.yar", "locked.yar")
    (tmp_path / "locked.yar").chmod(0)
    assert [(p.code, p.path) for p in read_rule_files([tmp_path])[1]] == [("rule-unreadable", "locked.yar")]


def test_a_name_that_is_not_utf8_is_made_readable(tmp_path):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.yar")).write_text(RULE)
    assert _namespaces(tmp_path) == ["\\xff.yar"]


def test_two_names_that_read_alike_do_not_replace_each_other_in_silence(tmp_path):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.yar")).write_text(RULE)
    _write(tmp_path, "\\xff.yar")
    files, problems = read_rule_files([tmp_path])
    assert [f.namespace for f in files] == ["\\xff.yar"]
    assert [(p.code, p.path) for p in problems] == [("rule-name", "\\xff.yar")]


def test_the_digest_is_the_documented_one():
    ones, twos = "1" * 64, "2" * 64
    expected = hashlib.sha256(f"a.yar\0{ones}\nb.yar\0{twos}\n".encode()).hexdigest()
    assert rule_files_digest([("b.yar", twos), ("a.yar", ones)]) == expected


@given(st.dictionaries(st.text(min_size=1, alphabet="abc/é.~"), st.sampled_from(["0" * 64, "f" * 64]), min_size=1), st.randoms())
def test_the_digest_depends_on_names_and_bytes_but_not_on_their_order(files, random):
    shuffled = list(files.items())
    random.shuffle(shuffled)
    assert rule_files_digest(shuffled) == rule_files_digest(files.items())
    name, sha256 = shuffled[0]
    assert rule_files_digest([*shuffled[1:], (name + "x", sha256)]) != rule_files_digest(shuffled)
    assert rule_files_digest([*shuffled[1:], (name, "e" * 64)]) != rule_files_digest(shuffled)
