"""A folder of files that are hard to list right, what the operating system says of them, and what our readers list of an image.

The operating system's own lstat, readlink, getxattr and read are the truth: of the folder that mkfs copied, or of the made filesystem
mounted read-only by the Linux kernel.
"""
# ruff: noqa: PTH101, PTH102, PTH109, PTH115, PTH123, PTH211
# The names are bytes that are no text, which pathlib does not take.

from __future__ import annotations

import hashlib
import mmap
import os
import random
import socket
import stat
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from made_volumes import run

import forensics.filesystems.dissect_fs as beyond_tsk
from forensics.content import iter_blocks
from forensics.errors import FilesystemError, Problem, StreamReadError
from forensics.filesystems.base import Content, Entry, Kind, ListingLimits, Recovery
from forensics.names import escape_text
from forensics.signatures import HEAD_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.filesystems.base import FilesystemReader
    from forensics.source import ByteSource

EVERYTHING = ListingLimits(orphans=10**4, orphan_bytes=1 << 30, attributes=True)
IS_ROOT = os.geteuid() == 0
_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFLNK: Kind.LINK,
    stat.S_IFIFO: Kind.FIFO,
    stat.S_IFSOCK: Kind.SOCKET,
    stat.S_IFCHR: Kind.CHARACTER_DEVICE,
    stat.S_IFBLK: Kind.BLOCK_DEVICE,
}


class FileBytes:
    """A file as a byte source; it stays readable while the source lives, and nothing has to be closed."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.size = len(self._data)

    def read_at(self, offset: int, length: int) -> bytes:
        assert offset >= 0
        assert length >= 0
        return self._data[offset : offset + length]


class BytesSource:
    """Bytes in memory as a byte source."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read_at(self, offset: int, length: int) -> bytes:
        assert offset >= 0
        assert length >= 0
        return self._data[offset : offset + length]


@dataclass(frozen=True, kw_only=True)
class Stated:
    """What is said of one entry: by the operating system, or by us."""

    kind: Kind
    mode: int | None
    owner: int | None
    group: int | None
    modified: object
    links: int | None = None
    size: int | None = None
    target: str | None = None
    sha256: str | None = None
    attributes: tuple[tuple[str, bytes], ...] = ()


def lay(folder: Path, *, wide: int = 1200, attributes: bool = True, sockets: bool = True, owners: bool = IS_ROOT) -> Path:
    """The folder, made, with all of it; owners and devices only where we may."""
    root = os.fsencode(folder)
    os.mkdir(root)
    _lay_contents(root)
    _lay_names(root)
    _lay_folders(root, wide)
    os.mkfifo(root + b"/fifo")
    if sockets:
        _lay_socket(root)
    for name, mode in ((b"noise-60", 0o4755), (b"noise-500", 0o2640), (b"sub", 0o1777), (b"noise-1", 0o400)):
        os.chmod(root + b"/" + name, mode)
    if IS_ROOT:
        os.mknod(root + b"/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.mknod(root + b"/disk", stat.S_IFBLK | 0o660, os.makedev(8, 17))
    if owners:
        os.chown(root + b"/noise-60", 70_000, 4_000_000)
        os.chmod(root + b"/noise-60", 0o4755)
    if attributes:
        os.setxattr(root + b"/noise-60", b"user.small", b"value \x00 with a NUL")
        os.setxattr(root + b"/noise-60", b"user.empty", b"")
        for number in range(30):
            os.setxattr(root + b"/packs well", b"user.many.%d" % number, b"%d" % number * 20)
        os.setxattr(root + b"/sub", b"user.of a directory", b"d")
    _set_times(root)
    return folder


def _put(path: bytes, data: bytes) -> bytes:
    with open(path, "wb") as file:
        file.write(data)
    return path


def _lay_contents(root: bytes) -> None:
    """Files of nothing, of less than a block, of blocks and of many; some that pack well, in part, or are holes."""
    chance = random.Random(3)
    for size in (0, 1, 60, 500, 2000, 4095, 4096, 4097, 70_001, 300_000):
        _put(root + b"/noise-%d" % size, chance.randbytes(size))
    _put(root + b"/packs well", b"the same again and again\n" * 20_000)
    _put(root + b"/half packs", b"".join(bytes(3000) + chance.randbytes(1000) for _ in range(150)))
    with open(root + b"/sparse", "wb") as file:
        file.seek(100_000)
        file.write(b"an island")
        file.seek(500_000)
        file.write(chance.randbytes(5000))
        file.truncate(900_123)
    with open(root + b"/all hole", "wb") as file:
        file.truncate(1 << 20)


def _lay_names(root: bytes) -> None:
    """Names that are long, no text, or odd; one file of three names; links."""
    names = (
        b"n" * 255,
        b"caf\xe9 \xff\xfe",
        "naïve, 日本.txt".encode(),
        b" lead and trail ",
        b"new\nline\tand\x1b[31m",
        b"-rf",
        b"back\\slash",
    )
    for name in names:
        _put(root + b"/" + name, b"named " + name)
    linked = _put(root + b"/linked", b"one file, three names")
    os.mkdir(root + b"/sub")
    os.link(linked, root + b"/sub/second name")
    os.link(linked, root + b"/third name")
    for name, target in (
        (b"short", b"noise-1"),
        (b"long", b"d/" * 400 + b"end"),
        (b"absolute", b"/etc/passwd"),
        (b"bytes", b"to \xff\xfe"),
    ):
        os.symlink(target, root + b"/link " + name)


def _lay_folders(root: bytes, wide: int) -> None:
    """Forty folders in each other, one of many files, one of none."""
    deep = root + b"/deep"
    for number in range(40):
        os.mkdir(deep)
        _put(deep + b"/at the bottom", b"%d down" % number)
        deep += b"/d%d" % number
    os.mkdir(root + b"/wide")
    for number in range(wide):
        _put(root + b"/wide/" + b"w" * (number % 100) + b"%05d" % number, b"" if number % 3 else b"%d" % number)
    os.mkdir(root + b"/empty directory")


def _lay_socket(root: bytes) -> None:
    """A socket, bound from inside the folder, because the path of one may have 107 bytes only."""
    here = os.getcwd()
    os.chdir(root)
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind("socket")
    finally:
        os.chdir(here)


def _set_times(root: bytes) -> None:
    for number, (top, directories, files) in enumerate(os.walk(root, topdown=False)):
        for name in (*files, *directories):
            when = 1_000_000_000_123_456_789 + 86_400_000_000_007 * (number + len(name))
            os.utime(top + b"/" + name, ns=(when + 5, when), follow_symlinks=False)
    os.utime(root, ns=(1_600_000_000_000_000_001, 1_600_000_000_000_000_002))


def stated(folder: Path, *, whole_seconds: bool = False) -> dict[bytes, Stated]:
    """What the operating system says of everything below the folder; the folder itself is left out, as the root is by us."""
    found: dict[bytes, Stated] = {}
    root = os.fsencode(folder)
    for top, directories, files in os.walk(root):
        for name in (*directories, *files):
            path = top + b"/" + name
            said = os.lstat(path)
            kind = _KINDS[stat.S_IFMT(said.st_mode)]
            nanoseconds = said.st_mtime_ns // 1_000_000_000 * 1_000_000_000 if whole_seconds else said.st_mtime_ns
            found[path[len(root) + 1 :]] = Stated(
                kind=kind,
                mode=stat.S_IMODE(said.st_mode),
                owner=said.st_uid,
                group=said.st_gid,
                modified=nanoseconds,
                links=None if kind is Kind.DIRECTORY else said.st_nlink,
                size=said.st_size if kind is Kind.FILE else None,
                target=_shown(os.readlink(path)) if kind is Kind.LINK else None,
                sha256=_digest_of(path) if kind is Kind.FILE else None,
                attributes=_attributes_of(path),
            )
    return found


def _shown(target: bytes) -> str:
    return escape_text(target.decode("utf-8", "backslashreplace"))


def _digest_of(path: bytes) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _attributes_of(path: bytes) -> tuple[tuple[str, bytes], ...]:
    names = [name for name in os.listxattr(path, follow_symlinks=False) if name != "security.selinux"]
    return tuple(sorted((name, os.getxattr(path, name, follow_symlinks=False)) for name in names))


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A filesystem as our reader lists it."""

    reader: FilesystemReader
    label: str | None
    entries: list[Entry]
    problems: list[Problem]

    def read(self, entry: Entry) -> bytes:
        """The bytes of the entry's stream."""
        assert entry.address is not None
        return b"".join(iter_blocks(self.reader.open_stream(entry.address)))

    def found(self, path: bytes, stream: str = "") -> Entry:
        """The one entry of that name."""
        (entry,) = [one for one in self.entries if (one.path, one.stream) == (path, stream)]
        return entry

    def stated(self) -> dict[bytes, Stated]:
        """What we say of everything that is allocated."""
        found: dict[bytes, Stated] = {}
        attributes: dict[bytes, list[tuple[str, bytes]]] = {}
        for entry in self.entries:
            if entry.recovery is not Recovery.ALLOCATED:
                continue
            if entry.stream:
                attributes.setdefault(entry.path, []).append((entry.stream, self.read(entry)))
                continue
            assert entry.path not in found, entry.path
            is_file = entry.kind is Kind.FILE
            assert (entry.content is Content.READ) == is_file
            found[entry.path] = Stated(
                kind=entry.kind,
                mode=entry.mode,
                owner=entry.owner,
                group=entry.group,
                modified=entry.times.modified,
                links=None if entry.kind is Kind.DIRECTORY else entry.links,
                size=entry.size if is_file else None,
                target=entry.link_target,
                sha256=hashlib.sha256(self.read(entry)).hexdigest() if is_file else None,
            )
        return {path: replace(one, attributes=tuple(sorted(attributes.get(path, [])))) for path, one in found.items()}


def list_source(source: ByteSource) -> Listed:
    """The one filesystem in a volume, listed."""
    (found,) = beyond_tsk.find_filesystems(source, source.read_at(0, HEAD_BYTES), volume="v01", credentials=())
    reader = beyond_tsk.open_reader(source, found, volume="v01", credentials=())
    listed = list(reader.iter_entries(EVERYTHING))
    entries = [one for one in listed if isinstance(one, Entry)]
    return Listed(reader=reader, label=found.label, entries=entries, problems=[one for one in listed if isinstance(one, Problem)])


def list_image(image: Path) -> Listed:
    """The one filesystem of an image without partitions, listed."""
    return list_source(FileBytes(image))


def differences(truth: dict[bytes, Stated], ours: dict[bytes, Stated]) -> list[str]:
    """Every difference in words, short; empty where all is equal."""
    lines = [f"missing: {path!r}" for path in sorted(truth.keys() - ours.keys())]
    lines += [f"made up: {path!r}" for path in sorted(ours.keys() - truth.keys())]
    for path in sorted(truth.keys() & ours.keys()):
        for name in Stated.__dataclass_fields__:
            one, other = getattr(truth[path], name), getattr(ours[path], name)
            if one != other:
                lines.append(f"{path!r}: {name} is {str(one)[:120]}, and we say {str(other)[:120]}")
    return lines


def kernel_mounts(filesystem: str) -> pytest.MarkDecorator:
    """Skips where we may not mount, or the kernel does not know the filesystem; there the tests without mounts remain."""
    known = filesystem in Path("/proc/filesystems").read_text(encoding="utf-8").split()
    return pytest.mark.skipif(not (IS_ROOT and known and Path("/dev/loop-control").exists()), reason=f"{filesystem} cannot be mounted here")


@contextmanager
def mounted(image: Path, *options: str) -> Iterator[Path]:
    """The image mounted by the kernel."""
    place = image.parent / f"{image.name} mounted"
    place.mkdir(exist_ok=True)
    run("mount", "-o", ",".join(("loop", *options)), image, place)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


class Changed:
    """A source with some bytes of it changed, and cut off where it is told to be."""

    def __init__(self, source: ByteSource, changes: dict[int, bytes], size: int | None = None) -> None:
        self._source, self._changes = source, changes
        self.size = source.size if size is None else min(size, source.size)

    def read_at(self, offset: int, length: int) -> bytes:
        assert offset >= 0
        assert length >= 0
        length = max(0, min(length, self.size - offset))
        data = bytearray(self._source.read_at(offset, length))
        for place, value in self._changes.items():
            first, end = max(place, offset), min(place + len(value), offset + length)
            if first < end:
                data[first - offset : end - offset] = value[first - place : end - place]
        return bytes(data)


def used_bytes(path: Path, most: int = 1 << 22) -> list[int]:
    """Offsets of bytes of the file that are not zero, a few million at most: where damage may mean something."""
    places: list[int] = []
    with path.open("rb") as file:
        end = path.stat().st_size
        offset = 0
        while offset < end and len(places) < most:
            try:
                offset = os.lseek(file.fileno(), offset, os.SEEK_DATA)
            except OSError:
                break
            file.seek(offset)
            block = file.read(4096)
            places += [offset + number for number, value in enumerate(block) if value]
            offset += 4096
    return places


def reads(source: ByteSource, *, size: int = 1 << 16) -> dict[tuple[bytes, str], bytes]:
    """The beginning of each stream that can be read. A listing that fails must be a FilesystemError, a stream a StreamReadError."""
    found: dict[tuple[bytes, str], bytes] = {}
    if not (kinds := beyond_tsk.find_filesystems(source, source.read_at(0, HEAD_BYTES), volume="v01", credentials=())):
        return {}
    try:
        reader = beyond_tsk.open_reader(source, kinds[0], volume="v01", credentials=())
        for entry in reader.iter_entries(EVERYTHING):
            if isinstance(entry, Problem) or entry.content is not Content.READ or entry.address is None:
                continue
            try:
                found[entry.path, entry.stream] = reader.open_stream(entry.address).read_at(0, size)
            except StreamReadError:
                continue
    except FilesystemError:
        return found
    return found


def damage(path: Path, *, seed: int, rounds: int, bytes_at_a_time: int = 1) -> list[dict[tuple[bytes, str], bytes]]:
    """What can be read of the image, damaged at random in `rounds` ways and then cut off in as many."""
    chance = random.Random(seed)
    places = used_bytes(path)
    source = FileBytes(path)
    flipped = [
        reads(Changed(source, {chance.choice(places): chance.randbytes(bytes_at_a_time) for _ in range(chance.randint(1, 6))}))
        for _ in range(rounds)
    ]
    return flipped + [reads(Changed(source, {}, size=chance.choice(places))) for _ in range(rounds)]
