"""Holds the whole list of shipped rules to account: form, samples, speed warnings."""

import re
from pathlib import Path

import pytest
from rule_samples import backdoors, credentials, miners, office, packers, phishing, ransomware, remote_access, scripts, webshells
from rule_samples.building import Sample

from forensics.yara_rules import RuleSet, load_rules

RULES = Path(__file__).parents[2] / "rules"
PREFIXES = {
    "backdoors": "backdoor_",
    "credentials": "credentials_",
    "miners": "miner_",
    "office": "office_",
    "packers": "packer_",
    "phishing": "phishing_",
    "ransomware": "ransomware_",
    "remote_access": "remote_access_",
    "scripts": "script_",
    "webshells": "webshell_",
}
SAMPLES: tuple[Sample, ...] = (
    *backdoors.SAMPLES,
    *credentials.SAMPLES,
    *miners.SAMPLES,
    *office.SAMPLES,
    *packers.SAMPLES,
    *phishing.SAMPLES,
    *ransomware.SAMPLES,
    *remote_access.SAMPLES,
    *scripts.SAMPLES,
    *webshells.SAMPLES,
)
META = ["description", "author", "licence", "severity", "reference", "false_positives"]
_RULE = re.compile(r"^rule (\w+) \{\n    meta:\n((?:        \w+ = \".*\"\n)+)", re.MULTILINE)
_META = re.compile(r"        (\w+) = \"(.*)\"\n")


def _written() -> list[tuple[str, str, dict[str, str]]]:
    """Folder, rule and meta of every rule, as the files are written."""
    return [
        (path.parent.name, rule[1], dict(_META.findall(rule[2])))
        for path in sorted(RULES.rglob("*.yar"))
        for rule in _RULE.finditer(path.read_text(encoding="utf-8"))
    ]


@pytest.fixture(scope="module")
def rule_set() -> RuleSet:
    loaded, problems = load_rules([RULES])
    assert problems == ()
    return loaded


def _hits(rule_set: RuleSet, content: bytes, externals) -> set[str]:
    found = rule_set.scan_content(content, timeout_seconds=60) + rule_set.scan_named(content, externals, timeout_seconds=60)
    return {match.rule for match in found}


def test_every_rule_is_written_in_the_form_that_these_tests_read(rule_set):
    assert len(_written()) == rule_set.rule_count


def test_there_are_at_least_32_rules_with_unique_names():
    names = [rule for _, rule, _ in _written()]
    assert len(names) >= 32
    assert len(set(names)) == len(names)


def test_the_compiler_has_nothing_to_say_about_speed(rule_set):
    assert rule_set.warnings == ()


def test_rule_files_have_plain_names_in_a_folder_for_their_subject():
    names = [path.relative_to(RULES).as_posix() for path in RULES.rglob("*.yar")]
    assert {name.split("/")[0] for name in names} == PREFIXES.keys()
    assert [name for name in names if not re.fullmatch(r"[a-z_]+/[a-z_]+\.yar", name)] == []


def test_each_rule_starts_with_the_word_of_its_subject():
    assert [rule for folder, rule, _ in _written() if not rule.startswith(PREFIXES[folder])] == []


def test_each_rule_says_all_that_an_examiner_needs():
    for _, rule, meta in _written():
        assert list(meta) == META, rule
        assert meta["description"].endswith("."), rule
        assert len(meta["description"]) > 30, rule
        assert meta["false_positives"].endswith("."), rule
        assert meta["severity"] in {"critical", "high", "medium", "low"}, rule
        assert meta["author"] == "Evidex developers", rule
        assert meta["licence"] == "AGPL-3.0-or-later", rule
        assert re.fullmatch(
            r"https://(attack\.mitre\.org/techniques/T\d{4}/(\d{3}/)?|nvd\.nist\.gov/vuln/detail/CVE-\d{4}-\d+)", meta["reference"]
        ), rule


def test_each_file_states_its_licence():
    for path in RULES.rglob("*.yar"):
        assert path.read_text(encoding="utf-8").startswith(
            "// Evidex rules. Copyright The Evidex developers. SPDX-License-Identifier: AGPL-3.0-or-later\n"
        ), path


def test_each_rule_has_exactly_one_pair_of_samples():
    assert sorted(sample.rule for sample in SAMPLES) == sorted(rule for _, rule, _ in _written())


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.rule)
def test_a_rule_hits_its_sample_and_not_the_near_miss(rule_set, sample):
    assert sample.rule in _hits(rule_set, sample.hit, sample.externals)
    assert sample.rule not in _hits(rule_set, sample.near_miss, sample.near_externals)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.rule)
def test_a_near_miss_is_not_caught_by_another_rule_either(rule_set, sample):
    assert _hits(rule_set, sample.near_miss, sample.near_externals) == set()


def test_the_samples_are_stored_so_that_no_rule_hits_the_files_that_hold_them(rule_set):
    for path in (Path(__file__).parent / "rule_samples").glob("*.py"):
        assert {match.rule for match in rule_set.scan_content(path, timeout_seconds=60)} == set(), path


def test_no_rule_hits_the_project_itself(rule_set):
    root = RULES.parent
    for folder in ("forensics", "pipelines", "chain_of_custody", "docs", "tests"):
        for path in sorted((root / folder).rglob("*.py")) + sorted((root / folder).rglob("*.md")):
            assert {match.rule for match in rule_set.scan_content(path, timeout_seconds=60)} == set(), path
