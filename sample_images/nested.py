"""Files inside files on ext4: archives in archives, an encrypted ZIP, e-mail, a document, a disk image; and a deleted picture to be carved."""

from __future__ import annotations

import email.message
import hashlib
import io
import struct
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

from sample_images.commands import blank, pack, run
from sample_images.stated import letter, stated

if TYPE_CHECKING:
    from pathlib import Path

    from sample_images.stated import StatedFile

Row = dict[str, Any]

NAME = "nested"
PASSWORD = "Sample-Password"  # noqa: S105 - of a sample, and in its credentials file
_SIZE, _STICK_SIZE = 4 << 20, 128 << 10
_WHEN = (2024, 3, 1, 9, 30, 0)

LETTER = letter("nested letter", 5_000)
SECRET = b"Found inside a tar inside a ZIP\n"
LOCKED = b"Found inside an encrypted ZIP\n"
SEVEN = letter("nested seven", 3_000)
STICK = b"Found on a disk image inside the disk image\n"
PACKED = letter("nested packed", 8_000)
DOCUMENT = b"<w:document><w:t>Words of a document</w:t></w:document>"
TYPES = b'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
NOTE = b"See the picture that is attached.\n"

# Where each content comes out, below the path of its container.
MEMBERS = {
    "archives/outer.zip//letter.txt": LETTER,
    "archives/outer.zip//../escape.txt": b"A name that leads out of the folder\n",
    "archives/outer.zip//inner.tar.gz//inner.tar//deep/secret.txt": SECRET,
    "archives/locked.zip//locked.txt": LOCKED,
    "archives/seven.7z//seven.txt": SEVEN,
    "documents/report.docx//[Content_Types].xml": TYPES,
    "documents/report.docx//word/document.xml": DOCUMENT,
    "disks/stick.img//v01/STICK.TXT": STICK,
    "packed/notes.txt.gz//notes.txt": PACKED,
    "packed/notes.txt.bz2//notes.txt": PACKED,
    "packed/notes.txt.xz//notes.txt": PACKED,
    "packed/notes.txt.zst//notes.txt": PACKED,
}


def picture(side: int = 48) -> bytes:
    """A PNG of one grey square (PNG specification, 5 and 11)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes((x * y) % 251 for x in range(side)) for y in range(side))
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b"")


def build(folder: Path, work: Path) -> None:
    """Makes the sample's image and its credentials file in `folder`."""
    source = work / "source"
    for name in ("archives", "documents", "disks", "mail", "packed"):
        (source / name).mkdir(parents=True)
    _write_archives(source / "archives", work)
    (source / "documents" / "report.docx").write_bytes(_zip({"[Content_Types].xml": TYPES, "word/document.xml": DOCUMENT}))
    (source / "mail" / "message.eml").write_bytes(_message())
    _write_stick(source / "disks" / "stick.img", work)
    for suffix, program in (("gz", "gzip"), ("bz2", "bzip2"), ("xz", "xz"), ("zst", "zstd")):
        (source / "packed" / f"notes.txt.{suffix}").write_bytes(run(program, "-c", stdin=PACKED))
    (source / "picture.png").write_bytes(picture())
    disk = blank(work / f"{NAME}.dd", _SIZE)
    run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-b", "1024", "-N", "64", "-m", "0",
        "-U", "0e71de00-0000-4000-8000-000000000009", "-L", "nested", "-d", source, disk)  # fmt: skip
    run("debugfs", "-w", "-R", "rm picture.png", disk)
    pack(disk, folder / f"{disk.name}.xz")
    (folder / "credentials.toml").write_text(f'[[credential]]\nkind = "passphrase"\nvalue = "{PASSWORD}"\n')


def files() -> tuple[StatedFile, ...]:
    """What comes out of the files in the image."""
    return tuple(stated(path, content) for path, content in MEMBERS.items())


def expected() -> dict[str, tuple[tuple[str, ...], list[Row]]]:
    """By table, the key and the rows that a run must give."""
    png = picture()
    entries = [_row(path, content, "archive member") for path, content in MEMBERS.items()]
    entries.append(_row("mail/message.eml//picture.png", png, "archive member"))
    carved = {"volume": "v01", "kind": "png", "length": len(png), "validated": True, "sha256": hashlib.sha256(png).hexdigest()}
    whole = {"start_byte": 0, "kind": "volume", "filesystem": "ext4", "status": "read"}
    return {"volumes": (("start_byte",), [whole]), "entries": (("volume", "path", "stream"), entries), "carved": (("volume", "kind"), [carved])}


def _row(path: str, content: bytes, recovery: str) -> Row:
    digest = hashlib.sha256(content).hexdigest()
    return {"volume": "v01", "path": path, "stream": "", "kind": "file", "recovery": recovery, "size": len(content), "sha256": digest}


def _zip(members: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, _WHEN), content)
    return made.getvalue()


def _write_archives(folder: Path, work: Path) -> None:
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:gz") as archive:
        info = tarfile.TarInfo("deep/secret.txt")
        info.size = len(SECRET)
        archive.addfile(info, io.BytesIO(SECRET))
    outer = {"letter.txt": LETTER, "../escape.txt": MEMBERS["archives/outer.zip//../escape.txt"], "inner.tar.gz": inner.getvalue()}
    (folder / "outer.zip").write_bytes(_zip(outer))
    for name, content in (("locked.txt", LOCKED), ("seven.txt", SEVEN)):
        (work / name).write_bytes(content)
    run("zip", "-q", "-j", "-P", PASSWORD, folder / "locked.zip", work / "locked.txt")
    run("7z", "a", "-bso0", folder / "seven.7z", work / "seven.txt")


def _message() -> bytes:
    message = email.message.EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.org", "b@example.org", "A picture"
    message["Date"] = "Fri, 01 Mar 2024 09:30:00 +0000"
    message.set_content(NOTE.decode())
    message.add_attachment(picture(), maintype="image", subtype="png", filename="picture.png")
    message.set_boundary("the boundary between two parts")
    return message.as_bytes()


def _write_stick(image: Path, work: Path) -> None:
    (work / "STICK.TXT").write_bytes(STICK)
    run("mkfs.fat", "-F", "12", "-i", "0E71DE09", "-n", "STICK", blank(image, _STICK_SIZE))
    run("mcopy", "-i", image, work / "STICK.TXT", "::")
