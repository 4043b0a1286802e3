"""Locked volumes in whole runs: opened with the right credential, said to be locked without, and no secret left anywhere."""

from __future__ import annotations

import os
import pickle
import re
import shutil
import struct
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from running import command, environment, evidex, request, rows_of, run, tables_of

from forensics.credentials import Credential, CredentialKind, passphrase_credential, read_credentials
from forensics.errors import CredentialError
from pipelines.passphrase import take_secrets

if TYPE_CHECKING:
    from collections.abc import Callable

_SECRET = "vX9#kQ2-Wm7pL4zT8"
_WRONG = "hJ3%nB6-Yc1sD5gF0"
_MIB = 1 << 20
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
_EXHIBIT = ("--exhibit", "KH-1", "--examiner", "E", "--workers", "0")
_needs_tools = pytest.mark.skipif(
    not all(shutil.which(name, path=_PATH) for name in ("cryptsetup", "mkfs.ext4")) and not os.environ.get("CI"),
    reason="cryptsetup or mkfs.ext4 is not installed",
)


def tool(*words: str | Path, text: str | None = None) -> None:
    subprocess.run(words, input=text, text=True, check=True, capture_output=True, env=os.environ | {"PATH": _PATH})


def encrypted(data: bytes, key: bytes) -> bytes:
    """As dm-crypt writes it with aes-xts-plain64: each sector by itself, its number as 64 bits the tweak."""
    sectors = []
    for number in range(len(data) // 512):
        cipher = Cipher(algorithms.AES(key), modes.XTS(number.to_bytes(16, "little"))).encryptor()
        sectors.append(cipher.update(data[number * 512 : (number + 1) * 512]) + cipher.finalize())
    return b"".join(sectors)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MBR disk: an ext4 volume in a LUKS2 one that cryptsetup locked with the secret, and an ext4 volume with two files."""
    folder = tmp_path_factory.mktemp("locked")
    locked, inside, plain, files = folder / "luks", folder / "inside", folder / "ext4", folder / "files"
    files.mkdir()
    (files / "open.txt").write_text("in plain sight")
    (files / "more.bin").write_bytes(bytes(range(256)) * 8)
    inside.write_bytes(bytes(_MIB))
    tool("mkfs.ext4", "-q", "-F", "-d", files, inside)
    key = folder / "volume-key"
    key.write_bytes(bytes(range(64)))
    locked.write_bytes(bytes(3 * _MIB))
    options = ("--type", "luks2", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--luks2-metadata-size", "16k")
    options += ("--luks2-keyslots-size", "1m", "--offset", "4096", "--sector-size", "512", "--volume-key-file", os.fspath(key))
    tool("cryptsetup", "luksFormat", "-q", "--key-file", "-", "--cipher", "aes-xts-plain64", *options, locked, text=_SECRET)
    with locked.open("r+b") as file:
        file.seek(4096 * 512)
        file.write(encrypted(inside.read_bytes(), key.read_bytes()))
    plain.write_bytes(bytes(4 * _MIB))
    tool("mkfs.ext4", "-q", "-F", "-d", files, plain)
    media = bytearray(8 * _MIB)
    # MBR: 16-byte entries from 446 (status, CHS, type at 4, CHS, first sector at 8, sectors at 12), 55 AA at 510.
    media[446:462] = struct.pack("<B3xB3xII", 0, 0x83, 2048, 3 * _MIB // 512)
    media[462:478] = struct.pack("<B3xB3xII", 0, 0x83, 4 * _MIB // 512, 4 * _MIB // 512)
    media[510:512] = b"\x55\xaa"
    media[_MIB : 4 * _MIB] = locked.read_bytes()
    media[4 * _MIB :] = plain.read_bytes()
    image = folder / "disk.dd"
    image.write_bytes(media)
    return image


def stated(folder: Path, *secrets: str, kind: str = "passphrase") -> Path:
    path = folder / "credentials.toml"
    path.write_text("".join(f'[[credential]]\nkind = "{kind}"\nvalue = "{secret}"\n' for secret in secrets))
    return path


def nowhere(secret: str, *folders: Path) -> None:
    """Passes when no file below the folders, and no name of one, holds the secret, as text, in UTF-16 or as hex."""
    forms = [secret.encode(), secret.encode("utf-16-le"), secret.encode().hex().encode()]
    files = [path for folder in folders for path in folder.rglob("*")]
    assert files
    for path in files:
        assert secret not in path.name
        if path.is_file():
            data = path.read_bytes()
            assert not [form for form in forms if form in data], path


def reported(case: Path) -> str:
    """The words of all pages of the report."""
    pages = sorted((case / "reports").rglob("*.html"))
    return " ".join(re.sub(r"<[^>]+>", " ", page.read_text(encoding="utf-8")) for page in pages)


def rest_is_there(tables: Path, where: str = "v02") -> None:
    """Passes when the files of the volume, beside the locked one unless stated, were read, and the ledger adds up."""
    paths = {row["path"]: row for row in rows_of(tables, "entries") if row["volume"] == where}
    assert paths["open.txt"]["bytes_read"] == len("in plain sight")
    assert paths["more.bin"]["bytes_read"] == 2048
    assert sum(row["size_bytes"] for row in rows_of(tables, "coverage")) == 8 * _MIB


def volume(tables: Path, name: str) -> dict[str, Any]:
    (found,) = (row for row in rows_of(tables, "volumes") if row["volume"] == name)
    return found


@_needs_tools
def test_the_right_credential_of_a_file_opens_it_and_is_left_nowhere(tmp_path: Path, disk: Path) -> None:
    """The second of two is the right one."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    case, state = tmp_path / "case", tmp_path / "state"
    answer = evidex("process", disk, "--case", case, *_EXHIBIT, "--credentials", stated(secrets, _WRONG, _SECRET), "--json", state=state)
    assert answer.returncode in (0, 3), answer.stderr
    tables = case / "runs" / "001-KH-1" / "tables"
    assert volume(tables, "v01")["encrypted"] is False
    assert volume(tables, "v01")["status"] == "unfolded"
    assert volume(tables, "v01.1")["unlocked_with"] == "passphrase"
    assert not [row for row in rows_of(tables, "problems") if row["volume"].startswith("v01")]
    rest_is_there(tables, "v01.1")
    rest_is_there(tables)
    for secret in (_SECRET, _WRONG):
        nowhere(secret, case, state)
        assert secret not in answer.stdout + answer.stderr
    shown = evidex("info", disk, "--credentials", secrets / "credentials.toml", state=state)
    assert "unlocked with passphrase" in shown.stdout
    assert _SECRET not in shown.stdout + shown.stderr


@_needs_tools
def test_a_wrong_credential_is_said_and_the_rest_goes_on(tmp_path: Path, disk: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    case, state = tmp_path / "case", tmp_path / "state"
    answer = evidex("process", disk, "--case", case, *_EXHIBIT, "--credentials", stated(secrets, _WRONG), state=state)
    assert answer.returncode == 3, answer.stderr
    tables = case / "runs" / "001-KH-1" / "tables"
    found = volume(tables, "v01")
    assert (found["encrypted"], found["status"], found["unlocked_with"]) == (True, "not read", None)
    (problem,) = (row for row in rows_of(tables, "problems") if row["volume"] == "v01")
    assert problem["code"] == "credential-wrong"
    assert "tried: 1 passphrase" in problem["why"]
    (covered,) = (row for row in rows_of(tables, "coverage") if row["volume"] == "v01")
    assert covered["state"] == "skipped"
    assert "LUKS" in covered["reason"]
    rest_is_there(tables)
    nowhere(_WRONG, case, state)


@_needs_tools
def test_without_a_credential_it_is_said_to_be_locked_everywhere(tmp_path: Path, disk: Path) -> None:
    result = run(disk, tmp_path / "case", rules=())
    tables = tables_of(result)
    found = volume(tables, "v01")
    assert (found["encrypted"], found["status"], found["unlocked_with"]) == (True, "not read", None)
    (problem,) = (row for row in rows_of(tables, "problems") if row["volume"] == "v01")
    assert problem["code"] == "volume-encrypted"
    assert "--credentials" in problem["advice"]
    (covered,) = (row for row in rows_of(tables, "coverage") if row["volume"] == "v01")
    assert (covered["state"], covered["size_bytes"]) == ("skipped", 3 * _MIB)
    rest_is_there(tables)
    report = reported(result.case)
    assert "encrypted and not unlocked" in report
    assert "1 volume of this exhibit is encrypted" in report
    assert "LUKS" in report
    shown = evidex("info", disk, state=tmp_path / "state")
    assert shown.returncode == 3
    assert "encrypted" in shown.stdout
    assert "NOT READ" in shown.stdout


@_needs_tools
def test_a_pattern_keeps_a_credential_from_other_volumes(tmp_path: Path, disk: Path) -> None:
    path = tmp_path / "credentials.toml"
    path.write_text(f'[[credential]]\nkind = "passphrase"\nvalue = "{_SECRET}"\nvolume = "v02*"\n')
    shown = evidex("info", disk, "--credentials", path, state=tmp_path / "state")
    assert "NOT READ" in shown.stdout
    path.write_text(path.read_text().replace("v02*", "v01"))
    shown = evidex("info", disk, "--credentials", path, state=tmp_path / "state")
    assert "unlocked with passphrase" in shown.stdout


@_needs_tools
def test_workers_open_it_too_and_do_not_have_the_secret_in_their_environment(tmp_path: Path, disk: Path) -> None:
    """The environment's passphrase; the volume is opened again in each process that reads it."""
    case, state = tmp_path / "case", tmp_path / "state"
    arguments = ("process", disk, "--case", case, "--exhibit", "KH-1", "--examiner", "E", "--workers", "1")
    with subprocess.Popen(
        command(*arguments),
        env=environment(state, {"EVIDEX_VOLUME_PASSPHRASE": _SECRET}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as driver:
        seen: dict[int, tuple[bytes, bytes]] = {}
        while driver.poll() is None:
            seen.update(_children(driver.pid))
            time.sleep(0.02)
        said = b"".join(stream.read() for stream in (driver.stdout, driver.stderr) if stream is not None)
        assert driver.returncode in (0, 3), said
    assert seen, "no worker was seen"
    for words, memory in seen.values():
        assert _SECRET.encode() not in words + memory
    assert _SECRET.encode() not in said
    tables = case / "runs" / "001-KH-1" / "tables"
    assert volume(tables, "v01.1")["unlocked_with"] == "passphrase"
    rest_is_there(tables, "v01.1")
    rest_is_there(tables)
    nowhere(_SECRET, case, state)


def _children(driver: int) -> dict[int, tuple[bytes, bytes]]:
    """Command line and environment of the other processes of the driver's session.

    A process with the driver's own command line is one that was forked a moment ago and has not begun its program: what /proc shows of it
    is the driver's memory, in which the kernel keeps the environment that the driver was started with.
    """
    found = {}
    own = Path(f"/proc/{driver}/cmdline").read_bytes()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int(folder.name) != driver and os.getsid(int(folder.name)) == driver:
                words = (folder / "cmdline").read_bytes()
                if words != own:
                    found[int(folder.name)] = (words, (folder / "environ").read_bytes())
        except OSError:
            continue
    return found


@_needs_tools
def test_an_interrupted_run_keeps_no_secret_in_what_it_leaves(tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The work folder stays for --resume, which needs the credentials given again."""
    monkeypatch.setattr("pipelines.run.check_unchanged", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    case = tmp_path / "case"
    with pytest.raises(KeyboardInterrupt):
        run(disk, case, rules=(), credentials=(passphrase_credential(_SECRET),))
    assert (case / "work" / "001-KH-1").is_dir()
    nowhere(_SECRET, case, tmp_path / "case-state")
    monkeypatch.undo()
    result = run(disk, case, rules=(), credentials=(passphrase_credential(_SECRET),), resume=True)
    assert volume(tables_of(result), "v01.1")["unlocked_with"] == "passphrase"


@pytest.mark.corpus
def test_files_of_a_locked_volume_are_listed_when_it_is_opened(tmp_path: Path, corpus_image: Callable[[str], Path]) -> None:
    image = corpus_image("luks2-ext4-derived")
    result = run(image, tmp_path / "case", rules=(), credentials=(passphrase_credential("corpus-pass"),))
    tables = tables_of(result)
    assert volume(tables, "v01.1")["unlocked_with"] == "passphrase"
    assert [row for row in rows_of(tables, "entries") if row["volume"] == "v01.1" and row["kind"] == "file"]
    nowhere("corpus-pass", result.case, tmp_path / "case-state")
    assert "unlocked with passphrase" in reported(result.case)


def test_no_repr_shows_a_secret(tmp_path: Path) -> None:
    one = passphrase_credential(_SECRET)
    asked = request(tmp_path / "a.dd", tmp_path / "case", credentials=(one,))
    for shown in (
        repr(one),
        str(one),
        f"{one}",
        repr((one,)),
        repr(asked),
        str(asked),
        repr(take_secrets({"EVIDEX_VOLUME_PASSPHRASE": _SECRET})),
    ):
        assert _SECRET not in shown
    assert "passphrase" in repr(one)
    assert pickle.loads(pickle.dumps(one)) == one


def test_secrets_are_taken_out_of_the_environment() -> None:
    variables = {"EVIDEX_VOLUME_PASSPHRASE": _SECRET, "EVIDEX_PASSPHRASE": "key", "HOME": "/"}
    found = take_secrets(variables)
    assert variables == {"HOME": "/"}
    assert (found.key_passphrase, [one.text for one in found.credentials]) == ("key", [_SECRET])
    assert take_secrets({}).credentials == ()


def test_each_kind_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "a.bek").write_bytes(b"\0\1\2")
    path = tmp_path / "credentials.toml"
    path.write_text(
        '[[credential]]\nkind = "passphrase"\nvalue = "grün"\n'
        '[[credential]]\nkind = "recovery-key"\nvalue = "000001-2"\nvolume = "v02*"\n'
        '[[credential]]\nkind = "key-file"\nvalue = "keys/a.bek"\n'
        '[[credential]]\nkind = "raw-key"\nvalue = "00ff 10"\n'
    )
    found = read_credentials(path)
    assert [(one.kind, one.value, one.volume) for one in found] == [
        (CredentialKind.PASSPHRASE, "grün".encode(), "*"),
        (CredentialKind.RECOVERY_KEY, b"000001-2", "v02*"),
        (CredentialKind.KEY_FILE, b"\0\1\2", "*"),
        (CredentialKind.RAW_KEY, b"\x00\xff\x10", "*"),
    ]
    assert [one.fits("v02.1") for one in found] == [True, True, True, True]
    assert [one.fits("v01") for one in found] == [True, False, True, True]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{_SECRET}", "is not TOML"),
        (f'[[credential]]\nkind = "passphrase"\nvalue = "{_SECRET}', "is not TOML"),
        (f'passphrase = "{_SECRET}"', "something else than"),
        (f'credential = "{_SECRET}"', "something else than"),
        (f'credential = ["{_SECRET}"]', "something else than"),
        (f'[credential]\nvalue = "{_SECRET}"', "something else than"),
        (f'[[credential]]\nvalue = "{_SECRET}"', "credential 1: kind must be one of passphrase, recovery-key, key-file, raw-key"),
        (f'[[credential]]\nkind = "{_SECRET}"\nvalue = "{_SECRET}"', "kind must be one of"),
        (f'[[credential]]\nkind = ["{_SECRET}"]\nvalue = "{_SECRET}"', "kind must be one of"),
        ('[[credential]]\nkind = "passphrase"', "must have kind and value"),
        ('[[credential]]\nkind = "passphrase"\nvalue = 1234', "must have kind and value"),
        (f'[[credential]]\nkind = "passphrase"\nvalue = "{_SECRET}"\n{_SECRET[0]} = 1', "and nothing else"),
        (f'[[credential]]\nkind = "passphrase"\nvalue = "{_SECRET}"\nvolume = 1', "may have volume, each as text"),
        (f'[[credential]]\nkind = "raw-key"\nvalue = "{_SECRET}"', "as hex digits"),
        ('[[credential]]\nkind = "key-file"\nvalue = "none"', "the key file cannot be read: No such file"),
        ('[[credential]]\nkind = "key-file"\nvalue = "a\\u0000b"', "the key file cannot be read"),
    ],
)
def test_a_file_of_another_form_is_refused_and_not_quoted(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "credentials.toml"
    path.write_text(text)
    with pytest.raises(CredentialError, match=told) as caught:
        read_credentials(path)
    error: BaseException | None = caught.value
    while error is not None and not isinstance(error, OSError):
        assert _SECRET not in str(error)
        error = error.__cause__


def test_a_file_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(CredentialError, match="is not TOML"):
        read_credentials(tmp_path / "binary")
    with pytest.raises(CredentialError, match="cannot be read"):
        read_credentials(tmp_path / "none")


def test_a_credential_is_one_kind_for_the_volumes_that_it_fits() -> None:
    one = Credential(kind=CredentialKind.RAW_KEY, value=b"\xff\x00", volume="v0[12]")
    assert (one.fits("v01"), one.fits("v03"), one.text) == (True, False, "\udcff\0")
