"""Which tool made a collection, and where its files come from: paths as the tools' documentation gives them."""

from __future__ import annotations

import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from listed import LIMITS

from forensics.artifacts.logical_source import open_logical_source
from forensics.filesystems.base import Entry
from forensics.image import open_image
from forensics.logical.collection import recognise
from forensics.logical.open_logical import open_logical

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# KAPE: the drive's letter as a folder (Targets, "tdest"); logs beside it.
KAPE = {
    b"C/Windows/System32/config/SYSTEM": ("sysvol", b"Windows/System32/config/SYSTEM"),
    b"C/Users/a/NTUSER.DAT": ("sysvol", b"Users/a/NTUSER.DAT"),
    b"C/$MFT": ("sysvol", b"$MFT"),
    b"D/data.txt": ("d:", b"data.txt"),
    b"2024-01-01T00_00_00_ConsoleLog.txt": None,
}
# Velociraptor: uploads/<accessor>/<path>, names percent-encoded; results and logs beside it.
VELOCIRAPTOR = {
    b"uploads/auto/C%3A/Windows/System32/winevt/Logs/Security.evtx": ("sysvol", b"Windows/System32/winevt/Logs/Security.evtx"),
    b"uploads/auto/C%3A/Users/J%C3%B6rg/100%25.txt": ("sysvol", "Users/Jörg/100%.txt".encode()),
    b"uploads/auto/D%3A/x": ("d:", b"x"),
    b"uploads.json": None,
    b"results/Windows.KapeFiles.Targets%2FAll.json": None,
}
VELOCIRAPTOR_NTFS = {
    b"uploads/ntfs/%5C%5C.%5CC%3A/$MFT": ("sysvol", b"$MFT"),
    b"uploads/ntfs/%5C%5C.%5CC%3A/Windows/System32/config/SAM": ("sysvol", b"Windows/System32/config/SAM"),
    b"uploads/auto/C%3A/Windows/notepad.exe": ("sysvol", b"Windows/notepad.exe"),
    b"log.json": None,
}
VELOCIRAPTOR_LINUX = {
    b"uploads/auto/etc/passwd": ("/", b"etc/passwd"),
    b"uploads/auto/var/log/syslog": ("/", b"var/log/syslog"),
    b"client_info.json": None,
}
# UAC: [root]/ for files of the system; the output of commands beside it.
UAC = {
    b"[root]/etc/passwd": ("/", b"etc/passwd"),
    b"[root]/var/log/auth.log": ("/", b"var/log/auth.log"),
    b"live_response/process/ps.txt": None,
    b"uac.log": None,
    b"bodyfile/bodyfile.txt": None,
}
ACQUIRE = {
    b"fs/C:/Windows/System32/config/SYSTEM": ("sysvol", b"Windows/System32/config/SYSTEM"),
    b"fs/c:/$Extend/$UsnJrnl": ("sysvol", b"$Extend/$UsnJrnl"),
    b"fs/E:/x": ("e:", b"x"),
    b"acquire.log": None,
}
ACQUIRE_LINUX = {
    b"fs/$rootfs$/etc/passwd": ("/", b"etc/passwd"),
    b"fs/$fs$/fs0/etc/hosts": None,  # another filesystem than the root
    b"fs/$metadata$/file-hashes.csv.gz": None,
}
PLAIN = {b"documents/report.pdf": ("/", b"documents/report.pdf"), b"a/b": ("/", b"a/b")}
LAYOUTS = {
    "KAPE": ("KAPE", KAPE),
    "Velociraptor": ("Velociraptor", VELOCIRAPTOR),
    "Velociraptor, accessor ntfs": ("Velociraptor", VELOCIRAPTOR_NTFS),
    "Velociraptor, Linux": ("Velociraptor", VELOCIRAPTOR_LINUX),
    "UAC": ("UAC", UAC),
    "acquire": ("acquire", ACQUIRE),
    "acquire, Linux": ("acquire", ACQUIRE_LINUX),
    "UAC in a folder": ("UAC", {b"uac-host-linux-20240101/" + path: place for path, place in UAC.items()}),
    "KAPE in a folder": ("KAPE", {b"HOST/" + path: place for path, place in KAPE.items()}),
    "files": ("files", PLAIN),
    "files in a folder": ("files", {b"top/" + path: ("/", b"top/" + path) for path in PLAIN}),
}
Places = dict[bytes, tuple[str, bytes] | None]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_collection_is_recognised_and_its_files_have_their_places(layout: str) -> None:
    tool, places = LAYOUTS[layout]
    collection = recognise(places)
    assert collection.tool == tool
    assert {path: collection.place(path) for path in places} == places


@pytest.mark.parametrize("before", [b"./", b"/", b".//./"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_an_archive_puts_before_paths_changes_nothing(layout: str, before: bytes) -> None:
    tool, places = LAYOUTS[layout]
    collection = recognise([b".", *(before + path for path in places)])
    assert collection.tool == tool
    assert {path: collection.place(before + path) for path in places} == places


def laid_tree(folder: Path, places: Places) -> Path:
    for path in places:
        (folder / path.decode()).parent.mkdir(parents=True, exist_ok=True)
        (folder / path.decode()).write_bytes(path)
    return folder


def zipped(folder: Path, places: Places) -> Path:
    with zipfile.ZipFile(folder / "case.zip", "w") as archive:
        for path in places:
            archive.writestr(path.decode(), path)
    return folder / "case.zip"


def tarred(folder: Path, places: Places) -> Path:
    laid_tree(folder / "tree", places)
    with tarfile.open(folder / "case.tar.gz", "w:gz") as archive:
        for path in places:
            archive.add(folder / "tree" / path.decode(), path.decode())
    return folder / "case.tar.gz"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("lay", [laid_tree, zipped, tarred])
def test_the_original_paths_come_out_of_a_folder_a_zip_and_a_tar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, lay: Callable[..., Path]
) -> None:
    _, places = LAYOUTS[layout]
    (tmp_path / "tree").mkdir()
    (tmp_path / "spool").mkdir()
    path = lay(tmp_path / "tree" if lay is laid_tree else tmp_path, places)
    with open_image(path) as image:
        reader = open_logical(image, image, credentials=(), spool=tmp_path / "spool")
        listed = {one.path: one for one in reader.iter_entries(LIMITS) if isinstance(one, Entry)}
        assert set(places) <= set(listed)
        for stored in places:
            address = listed[stored].address
            assert address is not None
            assert reader.open_stream(address).read_at(0, 1000) == stored
        # What dissect.target is given: a filesystem for each volume, in which every file has its original path.
        mounts: list[tuple[str, Any]] = []
        monkeypatch.setattr("forensics.artifacts.logical_source.open_filesystem_source", lambda given, _: mounts.extend(given))
        open_logical_source(reader)
        shown = {
            (point, found.path.lstrip("/").encode()): found.open().read()
            for point, filesystem in mounts
            for found in entries_below(filesystem.get("/"))
        }
        assert shown == {place: stored for stored, place in places.items() if place is not None}


def entries_below(folder: Any) -> Iterator[Any]:
    for one in folder.scandir():
        entry = folder.get(one.name)
        if entry.is_dir():
            yield from entries_below(entry)
        else:
            yield entry


@given(st.lists(st.binary(max_size=30)))
def test_any_paths_are_some_collection(paths: list[bytes]) -> None:
    collection = recognise(paths)
    for path in paths:
        collection.place(path)
