"""Files taken out of the evidence again: their bytes beside what icat gave, their names, the manifest, and what is refused."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import struct
import subprocess
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from running import SAMPLES, evidex, run, run_listing, unpack

import cli
from chain_of_custody.show import iter_entries
from forensics.credentials import passphrase_credential
from pipelines.extract import safe_name

if TYPE_CHECKING:
    from collections.abc import Callable

_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")  # Microsoft, "Naming Files, Paths, and Namespaces"


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def _extract(arguments: tuple[str, ...]) -> None:
    """The command line as a whole, in this process."""
    case = Path(arguments[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVIDEX_STATE_DIR", str(case.parent / f"{case.name}-state"))
        cli.main(["extract", *arguments])


def zipped(**files: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return archive.getvalue()


def png() -> bytes:
    """A picture of one pixel (PNG specification, section 5)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def ntfs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The NTFS sample and a case of it."""
    folder = tmp_path_factory.mktemp("ntfs")
    image = unpack("ntfs-mbr", folder / "image.dd")
    return image, run(image, folder / "case", rules=()).case


def extracted(case: Path, selector: str, target: Path, *images: Path, code: int = 0, options: tuple[str | Path, ...] = ()) -> Any:
    """What `evidex extract` answered, and its manifest."""
    given = [part for image in images for part in ("--image", image)]
    answer = CliRunner(catch_exceptions=False).invoke(_extract, [str(part) for part in (case, selector, "--to", target, *given, *options)])
    assert answer.exit_code == code, answer.stderr
    manifest = target / "manifest.jsonl"
    return answer, [json.loads(line) for line in manifest.read_text().splitlines()] if code in (0, 3) else []


def contents(target: Path, lines: list[dict[str, Any]]) -> dict[str, str]:
    """By path and stream, the digest of the file that was written."""
    found = {}
    for line in lines:
        path = line["path"] + (f":{line['stream']}" if line["stream"] else "") + (" slack" if line["recovery"] == "slack" else "")
        assert path not in found
        found[path] = hashlib.sha256((target / line["file"]).read_bytes()).hexdigest()
    return found


def icat_of(sample: str) -> dict[str, str]:
    """By path and stream, the digest of what icat gives."""
    rows = map(json.loads, (SAMPLES / sample / "expected" / "entries.jsonl").read_text().splitlines()[1:])
    return {row["path"] + (f":{row['stream']}" if row["stream"] else ""): row["sha256"] for row in rows if row.get("sha256")}


def test_every_file_of_a_case_comes_out_as_icat_gives_it(tmp_path: Path, ntfs: tuple[Path, Path]) -> None:
    image, case = ntfs
    answer, lines = extracted(case, "path:*", tmp_path / "out", image)
    truth = icat_of("ntfs-mbr")
    assert contents(tmp_path / "out", [line for line in lines if line["recovery"] not in ("unallocated", "slack")]) == truth
    assert {line["file"] for line in lines} | {"manifest.jsonl"} == {path.name for path in (tmp_path / "out").iterdir()}
    assert not any(line["problem"] for line in lines)
    assert all(line["written_sha256"] == line["sha256"] for line in lines)
    times = {(line["path"], line["stream"]): (line["modified"] or "").replace("T", " ")[:19] for line in lines}
    rows = map(json.loads, (SAMPLES / "ntfs-mbr" / "expected" / "entries.jsonl").read_text().splitlines()[1:])
    istat = {(row["path"], row["stream"]): row["modified"].replace("T", " ")[:19] for row in rows if row.get("modified")}
    assert istat.keys() & times.keys()
    assert {place: times[place] for place in istat.keys() & times.keys()} == {place: istat[place] for place in istat.keys() & times.keys()}
    assert answer.stdout.startswith(f"extracted {len(lines)} files of run 001-KH-1 to ")


def test_what_was_done_stands_in_the_log_and_the_case_still_verifies(tmp_path: Path, ntfs: tuple[Path, Path]) -> None:
    image, case = ntfs
    extracted(case, "path:*readme*", tmp_path / "out", image)
    entry = list(iter_entries(case))[-1]
    text = json.dumps(entry)
    assert "output.export" in text
    assert "files extracted" in text
    assert "path:*readme*" in text
    assert hashlib.sha256((tmp_path / "out" / "manifest.jsonl").read_bytes()).hexdigest() in text
    verdict = evidex("verify", case, state=tmp_path)
    assert verdict.returncode == 3  # a demonstration identity shows nobody
    assert "INTEGRITY     PASS" in verdict.stdout


def test_selectors_choose_by_digest_address_and_condition(tmp_path: Path, ntfs: tuple[Path, Path]) -> None:
    image, case = ntfs
    rows = [json.loads(line) for line in (SAMPLES / "ntfs-mbr" / "expected" / "entries.jsonl").read_text().splitlines()[1:]]
    row = next(row for row in rows if row["stream"] and row["recovery"] == "deleted metadata")
    same = {one["path"] + (f":{one['stream']}" if one["stream"] else "") for one in rows if one.get("sha256") == row["sha256"]}
    for number, (selector, wanted) in enumerate(
        (
            (row["sha256"].upper(), same),
            (f"hash:{row['sha256']}", same),
            (f"where:stream = '{row['stream']}' AND metadata_address = {row['metadata_address']}", {f"{row['path']}:{row['stream']}"}),
        )
    ):
        _, lines = extracted(case, selector, tmp_path / str(number), image)
        assert contents(tmp_path / str(number), lines) == dict.fromkeys(wanted, row["sha256"])
    _, lines = extracted(case, f"row:v01/{row['metadata_address']}", tmp_path / "row", image)
    assert {line["metadata_address"] for line in lines} == {row["metadata_address"]}
    line = next(line for line in lines if line["stream"] == row["stream"])
    address = f"row:v01/{row['metadata_address']}-{line['attribute_type']}-{line['attribute_id']}"
    _, lines = extracted(case, address, tmp_path / "stream", image)
    assert contents(tmp_path / "stream", lines) == {f"{row['path']}:{row['stream']}": row["sha256"]}


def test_a_rule_chooses_what_it_matches(tmp_path: Path) -> None:
    image = unpack("windows", tmp_path / "image.dd")
    case = run(image, tmp_path / "case").case
    hits = [json.loads(line) for line in (SAMPLES / "windows" / "expected" / "hits.jsonl").read_text().splitlines()[1:]]
    rule = hits[0]["rule"]
    _, lines = extracted(case, f"rule:{rule}", tmp_path / "out", image)
    found = {(line["path"], line["stream"]) for line in lines if line["recovery"] not in ("unallocated", "slack", "archive member")}
    assert found == {(hit["path"], hit["stream"]) for hit in hits if hit["rule"] == rule}
    truth = icat_of("windows")
    assert all(truth[path] == digest for path, digest in contents(tmp_path / "out", lines).items() if path in truth)


def test_other_bytes_than_those_of_the_run_are_told(tmp_path: Path, ntfs: tuple[Path, Path]) -> None:
    image, case = ntfs
    media = bytearray(image.read_bytes())
    rows = map(json.loads, (SAMPLES / "ntfs-mbr" / "expected" / "entries.jsonl").read_text().splitlines()[1:])
    sample = next(row for row in rows if row["path"].endswith("resident.txt") and not row["stream"])
    _, (line,) = extracted(case, f"row:v01/{sample['metadata_address']}", tmp_path / "same", image)
    content = (tmp_path / "same" / line["file"]).read_bytes()
    assert media.count(content) == 1
    media[media.index(content)] ^= 1
    other = tmp_path / "other.dd"
    other.write_bytes(media)
    answer, lines = extracted(case, "*.txt", tmp_path / "out", other, code=3)
    wrong = [line for line in lines if line["problem"]]
    assert [line["path"] for line in wrong] == [sample["path"]]
    assert wrong[0]["written_sha256"] != wrong[0]["sha256"] == sample["sha256"]
    assert f"problem: {sample['path']}: what was written has the SHA-256" in answer.stdout


def test_slack_comes_out_as_the_bytes_behind_the_file(tmp_path: Path, ntfs: tuple[Path, Path]) -> None:
    image, case = ntfs
    _, (line,) = extracted(case, "*random.bin", tmp_path / "file", image)
    content = (tmp_path / "file" / line["file"]).read_bytes()
    media = bytearray(image.read_bytes())
    assert media.count(content) == 1
    end = media.index(content) + len(content)
    media[end : end + 9] = b"left over"
    changed = tmp_path / "changed.dd"
    changed.write_bytes(media)
    slack_case = run(changed, tmp_path / "case", rules=()).case
    _, lines = extracted(slack_case, "*random.bin", tmp_path / "out", changed)
    found = {line["recovery"]: (tmp_path / "out" / line["file"]).read_bytes() for line in lines}
    assert found == {"allocated": content, "slack": media[end : end + len(found["slack"])]}
    assert found["slack"].startswith(b"left over")


def test_what_is_carved_in_free_space_and_what_is_inside_of_it_comes_out(tmp_path: Path) -> None:
    deep, text = b"deep " * 100, b"a" * 5000
    inner = zipped(deep=deep, other=b"1")
    outer = zipped(inner=inner, text=text)
    media = bytearray(1 << 20)
    media[4096 : 4096 + len(outer)] = outer
    media[65536 : 65536 + len(png())] = png()
    image = tmp_path / "image.dd"
    image.write_bytes(media)
    case = run(image, tmp_path / "case", rules=()).case
    _, lines = extracted(case, "*", tmp_path / "out", image)
    archive = "$Carved/000000000004096.zip"
    truth = {
        archive: outer,
        f"{archive}//inner": inner,
        f"{archive}//text": text,
        f"{archive}//inner//deep": deep,
        f"{archive}//inner//other": b"1",
        "$Carved/000000000065536.png": png(),
        "$Unallocated/000000001": bytes(media),
    }
    assert contents(tmp_path / "out", lines) == {path: hashlib.sha256(content).hexdigest() for path, content in truth.items()}
    _, lines = extracted(case, "*//inner//deep", tmp_path / "one", image)
    assert [(tmp_path / "one" / line["file"]).read_bytes() for line in lines] == [deep]


@pytest.mark.skipif(shutil.which("zip") is None and not os.environ.get("CI"), reason="zip is not installed")
def test_members_of_archives_with_hostile_names_and_passphrases(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_bytes(b"what is locked")
    subprocess.run(["zip", "-q", "-j", "-P", "open sesame", tmp_path / "locked.zip", tmp_path / "secret.txt"], check=True)
    hostile = zipped(
        **{"../../outside": b"1", "CON": b"2", "\x1b[31mred": b"3", "n" * 300: b"4", "same/x": b"5", "SAME/X": b"6", "dots. .": b"7"}
    )
    exhibit = tmp_path / "files.tar"
    with tarfile.open(exhibit, "w") as archive:
        archive.add(tmp_path / "locked.zip", "mail/locked.zip")
        member = tarfile.TarInfo("mail/hostile.zip")
        member.size = len(hostile)
        archive.addfile(member, io.BytesIO(hostile))
    case = run(exhibit, tmp_path / "case", rules=(), credentials=(passphrase_credential("open sesame"),)).case

    target = tmp_path / "deep" / "out"
    _, lines = extracted(case, "*hostile.zip//*", target, exhibit)
    assert sorted((target / line["file"]).read_bytes() for line in lines) == [b"1", b"2", b"3", b"4", b"5", b"6", b"7"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]
    names = [path.name for path in target.iterdir()]
    assert len({name.lower() for name in names}) == 8
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{1,100}", name) and not name.endswith(".") and not _RESERVED.fullmatch(name) for name in names)

    _, lines = extracted(case, "*//secret.txt", tmp_path / "without", exhibit, code=3)
    assert (lines[0]["file"], lines[0]["written_sha256"]) == (None, None)
    assert "credentials" in lines[0]["problem"]
    credentials = tmp_path / "credentials.toml"
    credentials.write_text('[[credential]]\nkind = "passphrase"\nvalue = "open sesame"\n')
    _, lines = extracted(case, "*//secret.txt", tmp_path / "with", exhibit, options=("--credentials", credentials))
    assert (tmp_path / "with" / lines[0]["file"]).read_bytes() == b"what is locked"


@pytest.mark.skipif(shutil.which("mke2fs") is None and not os.environ.get("CI"), reason="mke2fs is not installed")
def test_every_name_of_a_file_in_a_disk_image_in_a_file_comes_out(tmp_path: Path) -> None:
    """Hard links (`mke2fs -d` keeps them) are one metadata address under several names; held to the folder that they come from."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "one.txt").write_bytes(b"linked twice")
    (folder / "a.zip").write_bytes(zipped(inside=b"in both"))
    for name, link in (("one.txt", "two.txt"), ("one.txt", "three.txt"), ("a.zip", "b.zip")):
        (folder / link).hardlink_to(folder / name)
    inner = tmp_path / "inner.img"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", folder, inner, "2M"], check=True)
    exhibit = tmp_path / "files.tar"
    with tarfile.open(exhibit, "w") as archive:
        archive.add(inner, "inner.img")
    case = run(exhibit, tmp_path / "case", rules=()).case
    truth = {f"inner.img//v01/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    truth |= {f"inner.img//v01/{name}//inside": hashlib.sha256(b"in both").hexdigest() for name in ("a.zip", "b.zip")}
    _, lines = extracted(case, "where:recovery = 'archive member' AND size > 0 AND kind = 'file'", tmp_path / "out", exhibit)
    found = contents(tmp_path / "out", lines)
    assert {path.lstrip("/"): digest for path, digest in found.items()} == truth
    _, lines = extracted(case, "*//v01/two.txt", tmp_path / "one", exhibit)
    assert [(tmp_path / "one" / line["file"]).read_bytes() for line in lines] == [b"linked twice"]


def test_a_member_that_is_not_found_again_is_told_with_what_stopped_the_way_to_it(tmp_path: Path) -> None:
    whole = zipped(first=b"1" * 40_000, last=b"2" * 40_000)
    exhibit = tmp_path / "files.tar"

    def pack(content: bytes) -> None:
        with tarfile.open(exhibit, "w") as archive:
            member = tarfile.TarInfo("a.zip")
            member.size = len(whole)
            archive.addfile(member, io.BytesIO(content.ljust(len(whole), b"\0")))

    pack(whole)
    case = run(exhibit, tmp_path / "case", rules=()).case
    pack(whole[: len(whole) // 2])
    _, lines = extracted(case, "*//last", tmp_path / "out", exhibit, code=3)
    (problem,) = {line["problem"] for line in lines}
    assert "it was not found in its container again" in problem
    assert "its end is missing or damaged" in problem
    assert "encrypted" not in problem
    assert "credentials" not in problem


@pytest.mark.corpus
def test_an_encrypted_volume_needs_its_credentials_again(tmp_path: Path, corpus: Path, corpus_image: Callable[[str], Path]) -> None:
    image = corpus_image("luks2-ext4-derived")
    rows = map(json.loads, (corpus / "open" / "truth" / "luks2-ext4-derived.jsonl").read_text().splitlines())
    truth = {row["path"]: row["sha256"] for row in rows if row["allocated"] and row["sha256"]}
    passphrase = passphrase_credential("corpus-pass")
    case = run(image, tmp_path / "case", rules=(), credentials=(passphrase,)).case
    answer, lines = extracted(case, "where:volume = 'v01.1' AND recovery = 'allocated'", tmp_path / "without", image, code=3)
    assert {line["file"] for line in lines} == {None}
    assert "give the credentials that opened it" in answer.stdout
    credentials = tmp_path / "credentials.toml"
    credentials.write_text('[[credential]]\nkind = "passphrase"\nvalue = "corpus-pass"\n')
    chosen = "where:volume = 'v01.1' AND recovery = 'allocated' AND kind = 'file'"
    _, lines = extracted(case, chosen, tmp_path / "with", image, options=("--credentials", credentials))
    found = contents(tmp_path / "with", lines)
    assert {path: found[path] for path in truth} == truth
    assert b"corpus-pass" not in b"".join(path.read_bytes() for path in (case / "custody").rglob("*") if path.is_file())


@pytest.mark.corpus
def test_files_of_a_shadow_copy_come_out(tmp_path: Path, corpus: Path, corpus_image: Callable[[str], Path]) -> None:
    image = corpus_image("qcow2-vss-plaso")
    rows = [json.loads(line) for line in (corpus / "open" / "truth" / "qcow2-vss-plaso.jsonl").read_text().splitlines()]
    truth = {row["path"]: row["sha256"] for row in rows if row.get("volume") == "vss1" and row.get("sha256") and row["allocated"]}
    case = run_listing(image, tmp_path / "case").case
    _, lines = extracted(case, "where:volume = 'v01.1' AND recovery = 'shadow copy' AND stream = ''", tmp_path / "out", image, code=3)
    found = contents(tmp_path / "out", lines)
    shared = found.keys() & truth.keys()
    assert len(shared) > len(truth) // 2
    assert {path: found[path] for path in shared} == {path: truth[path] for path in shared}


@pytest.mark.parametrize(
    ("selector", "target", "image", "code", "said"),
    [
        ("*.nothing", "out", "image.dd", 1, "nothing in run"),
        ("*", "full", "image.dd", 1, "is not empty"),
        ("*", "file", "image.dd", 1, "name a new or empty folder"),
        ("*", "case/out", "image.dd", 1, "lies in the case"),
        ("*", "out", "short.dd", 1, "give the images of the exhibit"),
        ("where:1 = 1) --", "out", "image.dd", 1, "cannot be answered"),
        ("where:(SELECT count(*) FROM read_text('/etc/passwd')) > 0", "out", "image.dd", 1, "cannot be answered"),
        ("row:1234", "out", "image.dd", 2, "is not understood"),
    ],
)
def test_what_cannot_be_extracted_is_refused_before_anything_is_written(
    tmp_path: Path, ntfs: tuple[Path, Path], *, selector: str, target: str, image: str, code: int, said: str
) -> None:
    original, case = ntfs
    entries = len(list(iter_entries(case)))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_bytes(b"x")
    (tmp_path / "file").write_bytes(b"")
    shutil.copyfile(original, tmp_path / "image.dd")
    (tmp_path / "short.dd").write_bytes(original.read_bytes()[:-512])
    folder = case / "out" if target.startswith("case/") else tmp_path / target
    answer, _ = extracted(case, selector, folder, tmp_path / image, code=code)
    assert said in answer.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "full", "image.dd", "short.dd"]
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["x"]
    assert len(list(iter_entries(case))) == entries


def test_a_run_that_hashed_nothing_cannot_vouch_for_what_comes_out(tmp_path: Path) -> None:
    image = unpack("ntfs-mbr", tmp_path / "image.dd")
    result = run_listing(image, tmp_path / "case")
    _, lines = extracted(result.case, "*resident.txt", tmp_path / "out", image, code=3, options=("--run", result.run))
    assert {line["problem"] for line in lines} == {"the table has no digest of it, so what was written cannot be compared"}
    truth = icat_of("ntfs-mbr")
    assert all(truth[path] == digest for path, digest in contents(tmp_path / "out", lines).items())


def test_a_processor_may_not_take_files_out(tmp_path: Path) -> None:
    image = unpack("exfat", tmp_path / "image.dd")
    keys = tmp_path / "keys"
    assert evidex("keys", "new", keys, "--agency", "A", "--name", "N", "--origin", "a.example", state=tmp_path).returncode == 0
    arguments = ("--exhibit", "1", "--examiner", "N", "--profile", "triage", "--workers", "0", "--key", keys / "examiner.key.pem")
    assert evidex("process", image, "--case", tmp_path / "case", *arguments, state=tmp_path).returncode in (0, 3)
    arguments = ("--to", tmp_path / "out", "--image", image, "--key", keys / "processor.key.pem")
    answer = evidex("extract", tmp_path / "case", "*", *arguments, state=tmp_path)
    assert answer.returncode == 1
    assert "processor key" in answer.stderr
    assert not (tmp_path / "out").exists()


@given(st.text(), st.text())
def test_a_safe_name_is_letters_digits_dots_dashes_and_lines_only(path: str, stream: str) -> None:
    """The portable filename character set (POSIX, 3.282), no dot at either end, not empty, of at most 80 bytes."""
    assert re.fullmatch(r"[A-Za-z0-9_-]([A-Za-z0-9._-]{0,78}[A-Za-z0-9_-])?", safe_name(path, stream))
