"""RAR archives of stored members, built by the published structure and checked by 7z; nobody but WinRAR compresses them.

References: RAR 5.0 archive format (rarlab.com/technote.htm); the notes on RAR 4 that UnRAR's sources carry.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
import zlib
from typing import TYPE_CHECKING

import pytest
from Crypto.Cipher import AES
from opened import contents, damaged, walk

if TYPE_CHECKING:
    from pathlib import Path

NEEDS_7Z = pytest.mark.skipif(shutil.which("7z") is None and not os.environ.get("CI"), reason="7z is not installed")
RAR4, RAR5 = b"Rar!\x1a\x07\x00", b"Rar!\x1a\x07\x01\x00"
FILES = {"text.txt": b"The quick brown fox\n" * 500, "sub/ünter.bin": bytes(range(256)) * 40, "empty": b""}
SALT, ROUNDS = bytes(range(16)), 5
MODIFIED = 1_000_000_000


def vint(number: int) -> bytes:
    """A number in groups of seven bits, the lowest first."""
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def header5(kind: int, body: bytes, *, extra: bytes = b"", data: bytes | None = None) -> bytes:
    """Checksum, size, type, flags, sizes of the extra and the data area, body, extra area."""
    flags = (1 if extra else 0) | (2 if data is not None else 0)
    fields = vint(kind) + vint(flags) + (vint(len(extra)) if extra else b"") + (vint(len(data)) if data is not None else b"")
    sized = vint(len(fields + body + extra)) + fields + body + extra
    return struct.pack("<I", zlib.crc32(sized)) + sized


def file5(name: str, content: bytes, *, extra: bytes = b"", stored: bytes | None = None) -> tuple[bytes, bytes]:
    """The header of a stored file, with its time and checksum, and what stands behind it."""
    encoded = name.encode()
    body = vint(6) + vint(len(content)) + vint(0o100644) + struct.pack("<II", MODIFIED, zlib.crc32(content)) + vint(0) + vint(1)
    data = content if stored is None else stored
    return header5(2, body + vint(len(encoded)) + encoded, extra=extra, data=data), data


def rar5(files: dict[str, bytes]) -> bytes:
    members = b"".join(b"".join(file5(name, content)) for name, content in files.items())
    return RAR5 + header5(1, vint(0)) + members + header5(5, vint(0))


def rar5_with_encrypted_names(files: dict[str, bytes], passphrase: str) -> bytes:
    """Each header behind the first is padded and encrypted, its initial vector before it."""
    key = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), SALT, 1 << ROUNDS)

    def encrypted(header: bytes) -> bytes:
        vector = os.urandom(16)
        return vector + AES.new(key, AES.MODE_CBC, vector).encrypt(header + bytes(-len(header) % 16))

    out = RAR5 + header5(4, vint(0) + vint(0) + bytes([ROUNDS]) + SALT) + encrypted(header5(1, vint(0)))
    for name, content in files.items():
        header, data = file5(name, content)
        out += encrypted(header) + data
    return out + encrypted(header5(5, vint(0)))


def block4(kind: int, flags: int, rest: bytes) -> bytes:
    """Checksum, type, flags, size, and the rest."""
    body = struct.pack("<BHH", kind, flags, 7 + len(rest)) + rest
    return struct.pack("<H", zlib.crc32(body) & 0xFFFF) + body


def rar4(files: dict[str, bytes], flags: int = 0) -> bytes:
    out = RAR4 + block4(0x73, 0, bytes(6))
    for name, content in files.items():
        encoded = name.encode()
        time = (2001 - 1980) << 25 | 9 << 21 | 9 << 16 | 1 << 11 | 46 << 5 | 20
        fields = struct.pack("<IIBIIBBHI", len(content), len(content), 3, zlib.crc32(content), time, 20, 0x30, len(encoded), 0o100644)
        out += block4(0x74, 0x8000 | flags, fields + encoded) + content
    return out + block4(0x7B, 0x4000, b"")


ASCII = {name.replace("ü", "u"): content for name, content in FILES.items()}
ARCHIVES = {"4": (rar4(ASCII), ASCII), "5": (rar5(FILES), FILES)}


@pytest.mark.parametrize("version", ARCHIVES)
def test_stored_members_come_out_right(version: str) -> None:
    data, files = ARCHIVES[version]
    got, problems = walk(data, "a.rar")
    assert problems == []
    assert contents(got) == files
    assert {one.failure for one in got} == {""}
    assert {one.item.member.times.modified for one in got} == {MODIFIED * 10**9}


@NEEDS_7Z
@pytest.mark.parametrize("version", ARCHIVES)
def test_7z_takes_the_same_archives(version: str, tmp_path: Path) -> None:
    data, files = ARCHIVES[version]
    (tmp_path / "a.rar").write_bytes(data)
    subprocess.run(["7z", "x", "a.rar", "-oout"], cwd=tmp_path, check=True, capture_output=True)
    assert {name: (tmp_path / "out" / name).read_bytes() for name in files} == files


def test_encrypted_contents_are_listed() -> None:
    """No free library decrypts them, and the problem says so, whatever credentials there are."""
    record = vint(1) + vint(0) + vint(0) + bytes([15]) + bytes(32)
    header, data = file5("secret.txt", b"x" * 100, extra=vint(len(record)) + record, stored=os.urandom(112))
    got, problems = walk(RAR5 + header5(1, vint(0)) + header + data + header5(5, vint(0)), "a.rar", passphrases=("secret",))
    assert [(one.path, one.content, one.item.member.size) for one in got] == [("secret.txt", None, 100)]
    assert [(problem.code, problem.path) for problem in problems] == [("member-encrypted", "secret.txt")]
    got, problems = walk(rar4({"old.txt": b"y" * 16}, flags=4), "a.rar")
    assert [(one.path, one.content) for one in got] == [("old.txt", None)]
    assert [problem.code for problem in problems] == ["member-encrypted"]


def test_encrypted_names_are_listed_with_the_right_passphrase() -> None:
    data = rar5_with_encrypted_names(FILES, "secret")
    got, problems = walk(data, "a.rar", passphrases=("wrong", "secret"))
    assert [one.path for one in got] == list(FILES)
    assert problems == []
    for passphrases in ((), ("wrong",)):
        got, problems = walk(data, "a.rar", passphrases=passphrases)
        assert got == []
        assert [problem.code for problem in problems] == ["member-encrypted"]


@pytest.mark.parametrize("version", ARCHIVES)
def test_an_archive_that_is_cut_off_says_so(version: str) -> None:
    data, _ = ARCHIVES[version]
    got, problems = walk(data[:5000], "a.rar")
    assert got[0].content == FILES["text.txt"][: len(got[0].content or b"")]
    assert got[0].failure or problems


@pytest.mark.parametrize("version", ARCHIVES)
def test_damage_gives_problems_and_no_other_exception(version: str) -> None:
    for data in damaged(ARCHIVES[version][0], 23, 60):
        walk(data, "a.rar", passphrases=("x",))
    for data in damaged(rar5_with_encrypted_names(FILES, "secret"), 29, 40):
        walk(data, "a.rar", passphrases=("x", "secret"))
