"""The command line: exit codes, help, and what it prints; each in a process of its own where the process matters."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from running import evidex, unpack

import cli
from forensics.schema import TABLES
from pipelines.passphrase import StatedSecrets

_COMMANDS = ("info", "process", "batch", "verify", "report", "replay", "query", "schema", "extract", "mount", "keys", "custody")


def _invoke(*arguments: str) -> tuple[object, str]:
    result = CliRunner().invoke(cli.evidex, list(arguments), standalone_mode=False, catch_exceptions=False, obj=StatedSecrets())
    return result.return_value, result.output


@pytest.mark.parametrize("name", _COMMANDS)
def test_each_command_of_the_interface_is_there_and_explains_itself(name: str) -> None:
    assert name in cli.evidex.commands
    assert len(cli.evidex.commands[name].help or "") > 20


def test_the_module_run_as_a_script_is_the_command_line() -> None:
    done = subprocess.run([sys.executable, str(cli.__file__), "info"], capture_output=True, check=False, text=True)
    assert (done.returncode, "IMAGE" in done.stderr) == (2, True)


def test_process_takes_every_option_that_scripts_use() -> None:
    names = {option for parameter in cli.evidex.commands["process"].params for option in parameter.opts}
    wanted = "case exhibit examiner case-number agency profile rules key workers scheduler resume json expect-hash accept-mismatch "
    wanted += "credentials reader cross-check folder-as"
    assert {f"--{name}" for name in wanted.split()} <= names


@pytest.mark.parametrize(
    "arguments",
    [
        ("process",),
        ("process", "x", "--case", "c"),
        ("process", "x", "--case", "c", "--exhibit", "e", "--examiner", "n", "--profile", "quick"),
        ("process", "x", "--case", "c", "--exhibit", "e", "--examiner", "n", "--workers", "-1"),
        ("nothing",),
        ("query", "case"),
        ("--nothing",),
    ],
)
def test_wrong_usage_is_exit_code_2_and_no_traceback(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    answer = evidex(*arguments, state=tmp_path)
    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr
    assert answer.stdout == ""


def test_schema_lists_every_table_and_explains_every_column() -> None:
    code, text = _invoke("schema")
    assert code == 0
    assert [line.split()[0] for line in text.splitlines()] == [table.name for table in TABLES]
    for table in TABLES:
        _, text = _invoke("schema", table.name)
        for field in table.fields:
            assert field.name in text
            assert field.metadata[b"meaning"].decode() in text


def test_the_exit_codes_stand_in_the_help_and_in_the_docstring() -> None:
    _, text = _invoke("--help")
    for code in range(5):
        assert f"{code} " in text
        assert f"    {code}  " in (cli.__doc__ or "")


def test_info_as_json_tiles_the_image(tmp_path: Path) -> None:
    image = unpack("gpt-fat32-ext4", tmp_path / "a.dd")
    code, text = _invoke("info", str(image), "--json")
    facts = json.loads(text)
    assert code == 0
    assert sum(row["size_bytes"] for row in facts["volumes"]) == facts["media_size"] == image.stat().st_size
    assert facts["partition_scheme"] == "gpt"
    assert {row["filesystem"] for row in facts["volumes"]} == {None, "fat32", "ext4"}
    assert list(tmp_path.iterdir()) == [image], "info writes nothing"


def test_json_of_process_is_one_object_a_line_and_nothing_else_is_printed(tmp_path: Path) -> None:
    image = unpack("ntfs-mbr", tmp_path / "a.dd")
    answer = evidex(
        "process",
        image,
        "--case",
        tmp_path / "case",
        "--exhibit",
        "KH-1",
        "--examiner",
        "E",
        "--profile",
        "triage",
        "--json",
        state=tmp_path / "state",
    )
    assert answer.returncode in (0, 3)
    events = [json.loads(line) for line in answer.stdout.splitlines()]
    assert events[-1]["event"] == "result"
    assert events[-1]["run"] == "001-KH-1"
    assert Path(events[-1]["report"]).is_file()
    assert {event["event"] for event in events[:-1]} <= {"stage", "progress", "note"}
