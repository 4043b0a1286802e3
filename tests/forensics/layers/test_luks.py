"""LUKS volumes that cryptsetup made, with keys that cryptsetup states and data that OpenSSL encrypted; and headers that lie."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import traceback
from typing import TYPE_CHECKING, Any

import pytest
import pytsk3
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_members import Bytes, FileBytes, members, opened, recognised

from forensics.credentials import Credential, CredentialKind
from forensics.errors import VolumeError
from forensics.layers.luks import Luks
from forensics.sleuthkit import open_media

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SECRET = "zebra crossing"
_PASSPHRASE = (Credential(kind=CredentialKind.PASSPHRASE, value=_SECRET.encode()),)
_WRONG = (Credential(kind=CredentialKind.PASSPHRASE, value=b"a wrong one"), Credential(kind=CredentialKind.KEY_FILE, value=b"\0\1"))
_needs_cryptsetup = pytest.mark.skipif(
    shutil.which("cryptsetup") is None and not os.environ.get("CI"), reason="cryptsetup is not installed"
)
_CHEAP = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"]
_ARGON = ["--pbkdf-force-iterations", "4", "--pbkdf-memory", "64", "--pbkdf-parallel", "1"]


def _cryptsetup(*words: str, secret: str = _SECRET) -> str:
    command = ["cryptsetup", "--batch-mode", *words]
    return subprocess.run(command, input=secret.encode(), check=True, capture_output=True).stdout.decode()


def _formatted(folder: Path, *options: str) -> tuple[Path, bytes, int]:
    """A volume, its key, and where its data start, as cryptsetup states them."""
    path = folder / "volume"
    with path.open("wb") as file:
        file.truncate(4 << 20)
    _cryptsetup("luksFormat", "--key-file", "-", *options, str(path))
    stated = _cryptsetup("luksDump", "--dump-volume-key", "--key-file", "-", str(path))
    key = bytes.fromhex("".join(re.findall(r"\b[0-9a-f]{2}\b", stated.partition("MK dump:")[2])))
    start = re.search(r"Payload offset:\s*(\d+)", stated)
    if start is not None:
        return path, key, int(start[1]) * 512
    metadata = json.loads(_cryptsetup("luksDump", "--dump-json-metadata", str(path)))
    return path, key, int(metadata["segments"]["0"]["offset"])


def _filled(path: Path, key: bytes, start: int, *, mode: str, sector: int = 512) -> bytes:
    """Writes data behind the header, encrypted by OpenSSL sector by sector; gives the plain bytes."""
    size = path.stat().st_size - start
    plain = hashlib.shake_256(b"plain").digest(size - size % sector)
    parts = []
    for offset in range(0, len(plain), sector):
        number = (offset // 512).to_bytes(16, "little")
        if mode == "essiv":
            salt = Cipher(AES(hashlib.sha256(key).digest()), modes.ECB()).encryptor()
            chosen: Any = modes.CBC(salt.update(number))
        else:
            chosen = modes.XTS(number) if mode == "xts" else modes.CBC(number)
        parts.append(Cipher(AES(key), chosen).encryptor().update(plain[offset : offset + sector]))
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"".join(parts))
    return plain


@_needs_cryptsetup
@pytest.mark.parametrize(
    ("options", "mode", "sector"),
    [
        (["--type", "luks1", "--cipher", "aes-xts-plain64", "--key-size", "512", "--hash", "sha256", *_CHEAP[2:]], "xts", 512),
        (["--type", "luks1", "--cipher", "aes-cbc-essiv:sha256", "--key-size", "256", "--hash", "sha1", *_CHEAP[2:]], "essiv", 512),
        (["--type", "luks1", "--cipher", "aes-cbc-plain", "--key-size", "128", "--hash", "ripemd160", *_CHEAP[2:]], "cbc", 512),
        (["--type", "luks2", "--offset", "4096", "--sector-size", "512", "--pbkdf", "argon2id", *_ARGON], "xts", 512),
        (["--type", "luks2", "--offset", "4096", "--sector-size", "4096", "--pbkdf", "argon2i", *_ARGON], "xts", 4096),
        (["--type", "luks2", "--offset", "4096", "--sector-size", "1024", "--hash", "sha512", *_CHEAP], "xts", 1024),
    ],
    ids=["1 xts", "1 essiv", "1 plain", "2 argon2id", "2 argon2i 4096", "2 pbkdf2 1024"],
)
def test_a_volume_opens_and_its_bytes_are_the_plain_ones(tmp_path: Path, options: list[str], mode: str, sector: int) -> None:
    path, key, start = _formatted(tmp_path, *options)
    plain = _filled(path, key, start, mode=mode, sector=sector)
    found = recognised(Luks(), members(Bytes(path.read_bytes())))
    raw = (Credential(kind=CredentialKind.RAW_KEY, value=key),)
    for credentials, kind in ((_PASSPHRASE, "passphrase"), (_WRONG + _PASSPHRASE, "passphrase"), (raw, "raw-key")):
        unfolded = Luks().unfold(found, credentials)
        (derived,) = unfolded.derived
        assert (derived.unlocked_with, derived.size, unfolded.problems) == (kind, len(plain), ())
        source = opened(Luks(), derived, found, credentials)
        assert source.read_at(0, source.size) == plain
        assert source.read_at(70_001, 3) == plain[70_001:70_004]


@_needs_cryptsetup
def test_a_key_file_in_another_slot_opens_the_volume(tmp_path: Path) -> None:
    path, key, start = _formatted(tmp_path, "--type", "luks2", "--offset", "4096", "--sector-size", "512", *_CHEAP)
    plain = _filled(path, key, start, mode="xts")
    secret = tmp_path / "key"
    secret.write_bytes(bytes(range(256)) * 3)
    _cryptsetup("luksAddKey", *_CHEAP, "--key-file", "-", str(path), str(secret))
    found = members(Bytes(path.read_bytes()))
    credentials = (Credential(kind=CredentialKind.KEY_FILE, value=secret.read_bytes()),)
    (derived,) = Luks().unfold(found, credentials).derived
    assert derived.unlocked_with == "key-file"
    assert opened(Luks(), derived, found, credentials).read_at(0, 1 << 16) == plain[: 1 << 16]


@_needs_cryptsetup
def test_a_volume_that_stays_locked_says_what_was_tried_and_no_secret(tmp_path: Path) -> None:
    path, _, _ = _formatted(tmp_path, "--type", "luks2", "--offset", "4096", "--sector-size", "512", *_CHEAP)
    found = members(Bytes(path.read_bytes()))
    (none,) = Luks().unfold(found, ()).locked
    assert (none.code, none.name, none.encrypted) == ("volume-encrypted", "LUKS2", True)
    (wrong,) = Luks().unfold(found, _WRONG).locked
    assert wrong.code == "credential-wrong"
    assert "1 key-file, 1 passphrase" in wrong.why
    assert "a wrong one" not in repr(wrong)
    elsewhere = (Credential(kind=CredentialKind.PASSPHRASE, value=_SECRET.encode(), volume="v02*"),)
    assert Luks().unfold(found, elsewhere).locked[0].code == "volume-encrypted"
    (derived,) = Luks().unfold(found, _PASSPHRASE).derived
    with pytest.raises(VolumeError) as raised:
        opened(Luks(), derived, found, _WRONG)
    assert "a wrong one" not in "".join(traceback.format_exception(raised.value))


@_needs_cryptsetup
def test_a_first_header_that_was_wiped_is_said_and_the_second_used(tmp_path: Path) -> None:
    path, key, start = _formatted(tmp_path, "--type", "luks2", "--offset", "4096", "--sector-size", "512", *_CHEAP)
    plain = _filled(path, key, start, mode="xts")
    data = path.read_bytes()
    found = recognised(Luks(), members(Bytes(bytes(4096) + data[4096:])))
    unfolded = Luks().unfold(found, _PASSPHRASE)
    assert [one.code for one in unfolded.problems] == ["volume-metadata-damaged"]
    assert opened(Luks(), unfolded.derived[0], found, _PASSPHRASE).read_at(0, 512) == plain[:512]
    damaged = members(Bytes(data, [(0, 4096)]))
    assert Luks().unfold(damaged, _PASSPHRASE).locked[0].code == "volume-not-read"


def _said(data: bytes, credentials: tuple[Credential, ...] = _PASSPHRASE) -> Any:
    (locked,) = Luks().unfold(members(Bytes(data)), credentials).locked
    return locked


@_needs_cryptsetup
def test_a_passphrase_is_not_called_wrong_where_it_could_not_be_tried(tmp_path: Path) -> None:
    """The cipher of the slot, or of the data, is one that is not decrypted here (cast6 is the kernel's CAST-256)."""
    path, key, _ = _formatted(tmp_path, "--type", "luks2", "--offset", "4096", "--sector-size", "512", *_CHEAP)
    data = path.read_bytes()
    area, segment = b'"encryption":"aes-xts-plain64","key_size"', b'"encryption":"aes-xts-plain64","sector_size"'
    slot = _with_text(data, area, area.replace(b"aes", b"cast6"))
    for credentials in (_PASSPHRASE, _WRONG):
        said = _said(slot, credentials)
        assert said.code == "volume-not-read"
        assert "slot 0 could not be tried: the cipher 'cast6-xts-plain64' is not decrypted" in said.why
    raw = (Credential(kind=CredentialKind.RAW_KEY, value=key),)
    assert Luks().unfold(members(Bytes(slot)), raw).derived[0].unlocked_with == "raw-key"
    whole = _with_text(data, segment, segment.replace(b"aes", b"cast6"))
    for credentials in (_PASSPHRASE, _WRONG, raw, ()):
        said = _said(whole, credentials)
        assert (said.code, "'cast6-xts-plain64' is not decrypted" in said.why) == ("volume-not-read", True)
        assert "another tool" in said.advice or "a tool that knows" in said.advice


@_needs_cryptsetup
def test_a_passphrase_is_not_called_wrong_where_only_some_slots_could_be_tried(tmp_path: Path) -> None:
    """The second slot asks for more than is spent on one volume: it may be the one that the passphrase opens."""
    path, _, _ = _formatted(tmp_path, "--type", "luks2", "--offset", "4096", "--sector-size", "512", *_CHEAP)
    secret = tmp_path / "key"
    secret.write_bytes(b"another")
    _cryptsetup("luksAddKey", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1001", "--key-file", "-", str(path), str(secret))
    data = _with_text(path.read_bytes(), b'"iterations":1001', b'"iterations":4000000000')
    credentials = (Credential(kind=CredentialKind.KEY_FILE, value=b"another"),)
    said = _said(data, credentials)
    assert said.code == "volume-not-read"
    assert "slot 1 could not be tried" in said.why
    assert "given: 1 key-file" in said.why
    assert Luks().unfold(members(Bytes(data)), _PASSPHRASE).derived


@_needs_cryptsetup
def test_a_passphrase_is_not_called_wrong_where_no_slot_is_left_to_try_it_on(tmp_path: Path) -> None:
    path, _, _ = _formatted(tmp_path, "--type", "luks2", "--offset", "4096", "--sector-size", "512", *_CHEAP)
    _cryptsetup("luksKillSlot", "--key-file", "-", str(path), "0")
    said = _said(path.read_bytes())
    assert said.code == "volume-encrypted"
    assert "only the raw volume key can open it" in said.why
    raw = (Credential(kind=CredentialKind.RAW_KEY, value=bytes(64)),)
    assert _said(path.read_bytes(), raw).code == "credential-wrong"


@_needs_cryptsetup
def test_a_raw_key_is_not_called_wrong_where_its_digest_cannot_be_computed(tmp_path: Path) -> None:
    path, key, _ = _formatted(tmp_path, "--type", "luks1", "--hash", "sha256", *_CHEAP[2:])
    data = bytearray(path.read_bytes())
    data[72:104] = b"whirlpool".ljust(32, b"\0")  # LUKS1 1.2.3, 2.1: the hash of key derivation and digest
    said = _said(bytes(data), (Credential(kind=CredentialKind.RAW_KEY, value=key),))
    assert said.code == "volume-not-read"
    assert "a raw key could not be tried: its hash 'whirlpool' is not known" in said.why


@_needs_cryptsetup
def test_what_a_header_may_cost_is_bounded(tmp_path: Path) -> None:
    path, _, _ = _formatted(tmp_path, "--type", "luks2", "--offset", "4096", "--pbkdf", "argon2id", *_ARGON)
    for old, new in ((b'"memory":64', b'"memory":99999999999'), (b'"time":4', b'"time":4000000000'), (b'"cpus":1', b'"cpus":1000000')):
        changed = _with_text(path.read_bytes(), old, new)
        (locked,) = Luks().unfold(members(Bytes(changed)), _PASSPHRASE).locked
        assert locked.code == "volume-not-read", new
        assert Luks().unfold(members(Bytes(changed)), ()).derived == ()


@pytest.mark.corpus
def test_files_in_an_encrypted_ext4_are_those_of_the_plain_one(corpus: Path, corpus_image: Callable[[str], Path]) -> None:
    """The plain image was encrypted in place by cryptsetup reencrypt; TSK listed it before that."""
    rows = [json.loads(line) for line in (corpus / "open" / "truth" / "luks2-ext4-derived.jsonl").read_text().splitlines()]
    source = FileBytes(corpus_image("luks2-ext4-derived"))
    found = recognised(Luks(), members(source))
    credentials = (Credential(kind=CredentialKind.PASSPHRASE, value=b"corpus-pass"),)
    (derived,) = Luks().unfold(found, credentials).derived
    filesystem = pytsk3.FS_Info(open_media(opened(Luks(), derived, found, credentials)))
    compared = 0
    for row in rows:
        if row["allocated"] and row.get("sha256") and row["meta_type"] == "r":
            file = filesystem.open_meta(int(row["addr"].partition("-")[0]))
            size = file.info.meta.size
            assert hashlib.sha256(file.read_random(0, size) if size else b"").hexdigest() == row["sha256"]
            compared += 1
    assert compared
    source.close()


@pytest.mark.corpus
def test_public_headers_open_or_say_why_not(corpus_image: Callable[[str], Path]) -> None:
    source = FileBytes(corpus_image("luks2-dissect-multiple-slots"))
    credentials = (Credential(kind=CredentialKind.PASSPHRASE, value=b"password"),)
    found = recognised(Luks(), members(source))
    (derived,) = Luks().unfold(found, credentials).derived
    plain = opened(Luks(), derived, found, credentials).read_at(0, 512)
    assert len(set(plain)) < 64  # a pattern, where what is not decrypted looks random
    source.close()
    header = FileBytes(corpus_image("ul-images-fs-luks1"))
    (locked,) = Luks().unfold(recognised(Luks(), members(header)), credentials).locked
    assert (locked.name, locked.code) == ("LUKS1", "volume-incomplete")
    header.close()


@settings(max_examples=80)
@given(place=st.integers(0, 1024), value=st.integers(0, 255), size=st.integers(0, 9000))
def test_a_header_of_any_bytes_is_refused_in_our_words(place: int, value: int, size: int) -> None:
    slots = b"".join(struct.pack(">II32sII", 0xAC71F3, 1000, b"s" * 32, 8, 4000) for _ in range(8))
    head = struct.pack(">6sH32s32s32sII20s32sI40s", b"LUKS\xba\xbe", 1, b"aes", b"xts-plain64", b"sha256", 16, 32, b"d", b"s", 1000, b"u")
    data = bytearray((head + slots).ljust(9000, b"\0"))
    data[place] = value
    found = members(Bytes(bytes(data[:size])))
    unfolded = Luks().unfold(found, _PASSPHRASE)
    assert len(unfolded.locked) == 1
    assert unfolded.derived == ()


def _with_text(data: bytes, old: bytes, new: bytes) -> bytes:
    """The volume with another text in both headers, and their checksums put right (LUKS2 1.1.3, 2.2)."""
    size = int.from_bytes(data[8:16], "big")
    headers = []
    for start in (0, size):
        head = data[start : start + 4096]
        text = data[start + 4096 : start + size].rstrip(b"\0")
        assert old in text
        text = text.replace(old, new).ljust(size - 4096, b"\0")
        head = head[:448] + bytes(64) + head[512:]
        checksum = hashlib.sha256(head + text).digest().ljust(64, b"\0")
        headers.append(head[:448] + checksum + head[512:] + text)
    return b"".join(headers) + data[2 * size :]
