"""A whole file of every kind that is carved: made by a library or program that is not ours, or built from the published structure.

`media.zip` was made by `make_media.sh`.
"""

from __future__ import annotations

import email.message
import gzip
import io
import random
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
import wave
import zipfile
import zlib
from functools import cache
from pathlib import Path

import pip

from sample_images.evtx import Event, event_log
from sample_images.nested import picture
from sample_images.regf import Key, hive
from sample_images.stated import DEFAULT_TIME, letter

_MEDIA = Path(__file__).with_name("media.zip")


def noise(seed: int, size: int) -> bytes:
    """Bytes without order, the same for the same seed."""
    return random.Random(seed).randbytes(size)


@cache
def whole_files() -> dict[str, tuple[str, bytes]]:
    """By a name: the kind that it must be called, and its bytes."""
    with zipfile.ZipFile(_MEDIA) as archive:
        media = {name: archive.read(name) for name in archive.namelist()}
    found = {
        "JPEG": ("jpeg", media["picture.jpg"]),
        "JPEG with a thumbnail": ("jpeg", with_thumbnail(media["picture.jpg"])),
        "PNG": ("png", picture()),
        "GIF": ("gif", media["film.gif"]),
        "WebP": ("riff", media["picture.webp"]),
        "AVI": ("riff", media["film.avi"]),
        "WAV": ("riff", _wav()),
        "AVIF": ("isobmff", media["picture.avif"]),
        "HEIC": ("isobmff", media["picture.avif"].replace(b"ftypavif", b"ftypheic")),
        "MP4": ("isobmff", media["film.mp4"]),
        "MP4 in fragments": ("isobmff", media["fragmented.mp4"]),
        "MOV": ("isobmff", media["film.mov"]),
        "MP3": ("mp3", media["tone.mp3"]),
        "PDF": ("pdf", media["page.pdf"]),
        "PDF with an update": ("pdf", updated_pdf(media["page.pdf"])),
        "ZIP": ("zip", zipped({"a.txt": letter("carved", 3000), "b.bin": noise(1, 2000)})),
        "DOCX": ("zip", zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": letter("carved words", 4000)})),
        "OLE": ("ole", media["letter.doc"]),
        "RAR 4": ("rar", _rar4()),
        "gzip": ("gzip", gzip.compress(letter("carved gzip", 20_000), mtime=0)),
        "SQLite": ("sqlite", _sqlite()),
        "event log": ("evtx", _event_log()),
        "event log chunk": ("evtx chunk", _event_log()[4096:]),
        "registry hive": ("registry hive", _hive()),
        "PE": ("pe", _program()),
        "ELF": ("elf", Path(sys.executable).resolve().read_bytes()[: 16 << 20] if _is_small_elf() else _elf()),
        "e-mail": ("e-mail", _message()),
    }
    if shutil.which("7z"):
        found["7z"] = ("7z", _seven_zip())
    return found


def zipped(members: dict[str, bytes]) -> bytes:
    """A ZIP by zipfile."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 3, 1, 9, 30, 0)), content)
    return made.getvalue()


def with_thumbnail(jpeg: bytes) -> bytes:
    """The picture with itself as a thumbnail in an application segment (as Exif keeps one): it has two starts and two ends."""
    segment = b"\xff\xe1" + struct.pack(">H", len(jpeg) + 8) + b"Exif\0\0" + jpeg
    return jpeg[:2] + segment + jpeg[2:]


def updated_pdf(pdf: bytes) -> bytes:
    """The document with an incremental update behind its end (ISO 32000-1, 7.5.6): it has two end markers."""
    body = b"\n9999 0 obj\n<< /Added true >>\nendobj\n"
    table = len(pdf) + len(body)
    previous = int(pdf.rpartition(b"startxref")[2].split()[0])
    tail = b"xref\n9999 1\n%010d 00000 n \ntrailer\n<< /Size 10000 /Prev %d >>\nstartxref\n%d\n%%%%EOF\n" % (len(pdf) + 1, previous, table)
    return pdf + body + tail


def _wav() -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(noise(2, 4001 * 2))
    return made.getvalue()


def _rar4() -> bytes:
    """Marker, archive header, a stored file, end (RARLAB, technote.txt of RAR 4)."""

    def block(kind: int, flags: int, rest: bytes, data: bytes = b"") -> bytes:
        body = struct.pack("<BHH", kind, flags, 7 + len(rest)) + rest
        return struct.pack("<H", zlib.crc32(body) & 0xFFFF) + body + data

    content, name = letter("carved rar", 5000), b"a.txt"
    head = struct.pack("<IIBIIBBHI", len(content), len(content), 3, zlib.crc32(content), 0x58614BC0, 29, 0x30, len(name), 0o644) + name
    return b"Rar!\x1a\x07\0" + block(0x73, 0, bytes(6)) + block(0x74, 0x8000, head, content) + block(0x7B, 0x4000, b"")


def _sqlite() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.db"
        database = sqlite3.connect(path)
        database.execute("CREATE TABLE visits (url TEXT, title TEXT)")
        database.executemany("INSERT INTO visits VALUES (?, ?)", [(f"https://example.org/{n}", "x" * 50) for n in range(300)])
        database.commit()
        database.close()
        return path.read_bytes()


def _event_log() -> bytes:
    event = Event(provider="Carved", event_id=1, when=DEFAULT_TIME, channel="System", computer="PC", data={"a": "b"})
    return event_log([event])


def _hive() -> bytes:
    root = Key()
    root.key("Software\\Carved").set(name="value", number=7)
    return hive(root, name="NTUSER.DAT")


def _program() -> bytes:
    """A Windows program that pip carries (distlib, by the Python Software Foundation's licence)."""
    return (Path(pip.__file__).parent / "_vendor" / "distlib" / "t64.exe").read_bytes()


def _is_small_elf() -> bool:
    path = Path(sys.executable).resolve()
    return path.stat().st_size < (16 << 20) and path.read_bytes()[:4] == b"\x7fELF"


def _elf() -> bytes:
    return Path("/bin/ls").read_bytes()


def _message() -> bytes:
    message = email.message.EmailMessage()
    message["Message-ID"], message["From"], message["To"] = "<1@example.org>", "a@example.org", "b@example.org"
    message["Subject"], message["Date"] = "Carved", "Fri, 01 Mar 2024 09:30:00 +0000"
    message.set_content("Words\n")
    message.add_attachment(noise(3, 500), maintype="application", subtype="octet-stream", filename="a.bin")
    message.set_boundary("between")
    return message.as_bytes()


def _seven_zip() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.txt").write_bytes(letter("carved 7z", 9000))
        subprocess.run(["7z", "a", "-bso0", "a.7z", "a.txt"], cwd=folder, check=True, capture_output=True)
        return (Path(folder) / "a.7z").read_bytes()
