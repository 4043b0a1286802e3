"""What ends an archive or a program: blocks, checksums, sections and certificates."""

from __future__ import annotations

import gzip
import importlib.util
import io
import struct
import zlib
from pathlib import Path

import pytest
import rarfile
from carved_files import noise, whole_files
from spaces import carved, first


def vint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out, number = out + bytes([number & 0x7F | 0x80]), number >> 7
    return out + bytes([number])


def rar5(content: bytes) -> bytes:
    """Signature, archive header, one stored file, end (RARLAB, "RAR 5.0 archive format")."""

    def block(kind: int, body: bytes, data: bytes | None = None) -> bytes:
        rest = vint(kind) + vint(0 if data is None else 2) + (b"" if data is None else vint(len(data))) + body
        head = vint(len(rest)) + rest
        return struct.pack("<I", zlib.crc32(head)) + head + (data or b"")

    name = b"a.bin"
    body = vint(4) + vint(len(content)) + vint(0o644) + struct.pack("<I", zlib.crc32(content)) + vint(0) + vint(1) + vint(len(name)) + name
    return b"Rar!\x1a\x07\x01\0" + block(1, vint(0)) + block(2, body, content) + block(5, vint(0))


def test_a_rar_of_version_5_that_rarfile_reads_is_whole() -> None:
    whole = rar5(noise(60, 40_000))
    with rarfile.RarFile(io.BytesIO(whole)) as archive:
        assert archive.read("a.bin") == noise(60, 40_000)
    assert [(one.offset, one.length, one.validated) for one in carved(whole + noise(61, 600))] == [(0, len(whole), True)]
    assert not first(whole[:30_000]).validated


def test_gzip_that_breaks_off_is_not_much_longer_than_what_is_there_of_it() -> None:
    whole = gzip.compress(b"".join(b"%d words\n" % number for number in range(60_000)), mtime=0)
    found = first(whole[:65_536] + noise(64, 400_000))
    assert not found.validated
    assert 65_536 - 4096 <= found.length <= 65_536 + 8192


def test_an_empty_7z_is_its_header() -> None:
    """7zFormat.txt, SignatureHeader: the next header may be empty."""
    start = struct.pack("<QQI", 0, 0, 0)
    whole = b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<I", zlib.crc32(start)) + start
    found = first(whole + noise(62, 100))
    assert (found.length, found.validated) == (32, True)


def programs() -> list[Path]:
    """Windows programs that setuptools and pip carry, built by Microsoft's and by GNU's linker."""
    found = importlib.util.find_spec("pip")
    assert found is not None
    assert found.origin is not None
    return sorted(Path(found.origin).parents[1].glob("*/**/*.exe"))


def test_programs_by_microsofts_linker_are_whole() -> None:
    assert len(programs()) >= 6
    for path in programs():
        whole = path.read_bytes()
        found = first(whole + noise(63, 700))
        assert (found.length, found.validated, found.extension) == (len(whole), True, "exe"), path


def program(*, symbols: int = 0, overlay: bytes = b"", certificate: bytes = b"") -> bytes:
    """A program of one section, with a symbol table, appended data and a certificate (Microsoft, "PE Format")."""
    body = b"\xcc" * 512
    table, end = b"\1" * 18 * symbols + (struct.pack("<I", 8) + b"abc\0" if symbols else b""), 1024
    place = end + len(table) + len(overlay)
    head = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64) + b"PE\0\0"
    head += struct.pack("<HHIIIHH", 0x8664, 1, 0, end if symbols else 0, symbols, 240, 0x22)
    optional = struct.pack("<H", 0x20B).ljust(108, b"\0") + struct.pack("<I", 16) + bytes(32)
    optional += struct.pack("<II", place if certificate else 0, len(certificate))
    head += optional.ljust(240, b"\0") + struct.pack("<8sIIII", b".text", 512, 4096, 512, 512).ljust(40, b"\0")
    return head.ljust(512, b"\0") + body + table + overlay + certificate


CERTIFICATE = struct.pack("<IHH", 1024, 0x200, 2).ljust(1024, b"\x30")


@pytest.mark.parametrize(
    "whole", [program(), program(symbols=7), program(certificate=CERTIFICATE), program(overlay=b"setup" * 100, certificate=CERTIFICATE)]
)
def test_symbols_and_certificates_belong_to_a_program(whole: bytes) -> None:
    found = first(whole + b"\xee" * 700)
    assert (found.length, found.validated) == (len(whole), True)
    assert not first(whole[:-9]).validated


def test_a_program_longer_than_any_is_none() -> None:
    whole = bytearray(program())
    struct.pack_into("<I", whole, 64 + 24 + 240 + 20, 0xF0000000)
    assert carved(bytes(whole)) == []


@pytest.mark.parametrize("share", [0.2, 0.6, 0.99])
def test_unix_programs_cut_off_are_not_valid(share: float) -> None:
    whole = whole_files()["ELF"][1]
    cut = whole[: int(len(whole) * share)]
    found = first(cut)
    assert not found.validated
    assert found.length <= len(cut)
