"""The file behind a name that an image states: one that lies in the folder of the exhibit's first file or below it, or none.

What an image refers to (backing file, parent, extent, data file) is data of whoever made it. Rules enforced here:

1. Folders that a name states are entered below the folder of the file that names them, and nowhere else: a relative path that does not
   climb (".."). Of every other path only the last component is looked up, in the exhibit's own folder.
2. A symbolic link there is refused, and so is what is no regular file; a name with a NUL, without a last component, or with a protocol.
   No folder is entered through a symbolic link.
3. An extent must be named plainly. A backing or data file, which cannot be recognised, may have been moved: of a path its last
   component counts, unless the path climbs.
4. A parent that can be recognised by an identifier may be stated by any path; upper and lower case count alike, as on Windows.
5. What is not there is an error that names it. Nothing else is opened in its place.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from forensics.containers.folder import ONLY_FOLDERS, open_beneath
from forensics.errors import ImageError, Problem, SegmentMissingError, Stage, UnsupportedImageError
from forensics.exhibit import SourceFile, shown
from forensics.names import escape_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SEPARATOR = re.compile(r"[/\\]")
_PROTOCOL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # two letters and more: one is the drive of a Windows path
_FILE = re.compile(r"file:(?://(?=/))?")
_DRIVE = re.compile(r"[A-Za-z]:")
_MAX_LISTED = 20_000
_MAX_OPEN = 200  # a system lets a process hold about a thousand; the others are opened anew for each read
_OUTSIDE = "nothing outside its folder is opened"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What a file of an image needs: as what ("parent", "extent", …), and the names it states for it, most trusted first."""

    by: SourceFile
    role: str
    names: tuple[str, ...]


class Beside:
    """The folder of an exhibit's first file, and what was opened in it or below it beyond that file."""

    def __init__(self, first: SourceFile) -> None:
        self._folder = first.path.parent
        self._opened: list[SourceFile] = []

    def open_plain(self, reference: Reference) -> SourceFile:
        """The file of that plain name.

        Raises:
            UnsupportedImageError: the name is no plain name, or stands for a symbolic link.
            SegmentMissingError: there is no such file.
            ImageError: it is no regular file, or cannot be opened.
        """
        name = reference.names[0]
        if _last_component(reference, name) != name:
            raise _refused(reference, name, "no plain name")
        return self._open_first(reference)

    def open_moved(self, reference: Reference) -> SourceFile:
        """The file of that relative path, or of the last component of the path; see `moved` for what must be said then.

        Raises:
            UnsupportedImageError: the name cannot be taken, climbs, or stands for a symbolic link.
            SegmentMissingError: there is no such file.
            ImageError: it is no regular file, or cannot be opened.
        """
        for name in reference.names:
            if ".." in _SEPARATOR.split(name):
                raise _refused(reference, name, "a path that climbs")
        return self._open_first(reference)

    def open_known(self, reference: Reference, mismatch: Callable[[SourceFile], str]) -> SourceFile:
        """The first file under one of the names, or the last component of one, for which `mismatch` gives no reason against it.

        Raises:
            UnsupportedImageError: no name can be taken, or one stands for a symbolic link.
            SegmentMissingError: there is no file under any of the names.
            ImageError: what lies there is another file than the one needed, is no regular file, or cannot be opened.
        """
        reasons = []
        for place in dict.fromkeys(place for name in reference.names for place in self._places(reference, name)):
            file = self._open_at(reference, place, fold_case=True)
            if file is None:
                continue
            reason = mismatch(file)
            if not reason:
                return file
            reasons.append(f"{file.name} beside it is not that one: {reason}")
            self._drop(file)
        if reasons:
            message = f"{shown(reference.by.path)}: needs the {reference.role} '{told(reference.names[0])}'; {'; '.join(reasons)}"
            raise ImageError(message)
        raise _missing(reference)

    def find(self, reference: Reference, matches: Callable[[SourceFile], bool]) -> SourceFile:
        """The first regular file of the folder, by name, that matches; for formats that state no name, only an identifier.

        Raises:
            SegmentMissingError: none does.
        """
        for name in sorted(self._names()):
            try:
                file = self._open_at(reference, (name,))
            except ImageError:  # a link, a folder, an empty or unreadable file: none of them is the disk that is sought
                continue
            if file is not None:
                if matches(file):
                    return file
                self._drop(file)
        raise _missing(reference, is_named=False)

    def release(self) -> None:
        """Closes what was opened here."""
        for file in self._opened:
            file.release()

    def _open_first(self, reference: Reference) -> SourceFile:
        for place in (place for name in reference.names for place in self._places(reference, name)):
            file = self._open_at(reference, place)
            if file is not None:
                return file
        raise _missing(reference)

    def _places(self, reference: Reference, name: str) -> Iterator[tuple[str, ...]]:
        """Where the file may lie, as components below the exhibit's folder, the most likely first."""
        last = _last_component(reference, name)
        parts = tuple(part for part in _SEPARATOR.split(_local(name)) if part != ".")
        is_below = "" not in parts and ".." not in parts and not _DRIVE.match(parts[0])
        if is_below:
            yield (*reference.by.path.parent.relative_to(self._folder).parts, *parts)
        yield (last,)

    def _open_at(self, reference: Reference, place: tuple[str, ...], *, fold_case: bool = False) -> SourceFile | None:
        *folders, name = place
        status = self._status(place)
        if status is None and fold_case and not folders:
            alike = [other for other in self._names() if other.casefold() == name.casefold()]
            if len(alike) == 1:
                place = (alike[0],)
                status = self._status(place)
        if status is None:
            return None
        if stat.S_ISLNK(status.st_mode):
            raise _refused(reference, "/".join(place), "which is a symbolic link")
        file = SourceFile(self._folder.joinpath(*place), named=False)
        self._opened.append(file)
        # Its own folders may have been exchanged for links meanwhile; a file elsewhere has another identity.
        if file.identity != (status.st_dev, status.st_ino):
            raise _refused(reference, "/".join(place), "which was exchanged while it was opened")
        if len(self._opened) > _MAX_OPEN:
            file.release()
        return file

    def _status(self, place: tuple[str, ...]) -> os.stat_result | None:
        """What lies there, by a way on which no symbolic link is followed; None if there is nothing."""
        *folders, name = place
        try:
            with open_beneath(self._folder, os.fsencode("/".join(folders)), ONLY_FOLDERS) as descriptor:
                return os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        except (OSError, ValueError):  # not there, or a name that this system cannot have
            return None

    def _names(self) -> Iterator[str]:
        try:
            with os.scandir(self._folder) as entries:
                yield from (entry.name for entry in islice(entries, _MAX_LISTED))
        except OSError as error:
            message = f"{shown(self._folder)}: cannot be listed, so the files of the image cannot be found: {error.strerror}"
            raise ImageError(message) from error

    def _drop(self, file: SourceFile) -> None:
        self._opened.remove(file)
        file.release()


def told(name: str) -> str:
    """A name that evidence states, as one line of text in which no character acts."""
    return escape_text(name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))


def moved(reference: Reference, file: SourceFile) -> tuple[Problem, ...]:
    """What to record when a file that cannot be recognised was taken for one that is stated with folders."""
    name = reference.names[0]
    stated = tuple(part for part in _SEPARATOR.split(_local(name)) if part != ".")
    if (*reference.by.path.parent.parts, *stated) == file.path.parts:
        return ()
    return (
        Problem(
            stage=Stage.IMAGE,
            code="reference-moved",
            what=f"The image states the {reference.role} '{told(name)}'; {file.name} beside it was opened instead.",
            why="the format keeps nothing by which the file could be recognised, and no folder outside the image's own is ever entered",
            advice="Make sure that it is the file that belongs to this image.",
            path=reference.by.name,
        ),
    )


def _last_component(reference: Reference, name: str) -> str:
    if "\0" in name or not name:
        raise _refused(reference, name, "no name of a file")
    local = _local(name)
    if _PROTOCOL.match(local):
        raise _refused(reference, name, "no name of a file")
    last = _SEPARATOR.split(local)[-1]
    if last in ("", ".", ".."):
        raise _refused(reference, name, "no name of a file")
    return last


def _local(name: str) -> str:
    return _FILE.sub("", name, count=1) if _FILE.match(name) else name


def _refused(reference: Reference, name: str, what: str) -> UnsupportedImageError:
    return UnsupportedImageError(f"{shown(reference.by.path)}: names the {reference.role} '{told(name)}', {what}; {_OUTSIDE}")


def _missing(reference: Reference, *, is_named: bool = True) -> SegmentMissingError:
    name = reference.names[0]
    where = "which does not lie beside it" if not _SEPARATOR.search(name) else f"and no file of that name lies beside it ({_OUTSIDE})"
    return SegmentMissingError(
        f"{shown(reference.by.path)}: needs the {reference.role} '{told(name)}', {where}; put it into the same folder",
        role=reference.role,
        stated=told(name),
        wanted=tuple(dict.fromkeys(_last_component(reference, name) for name in reference.names)) if is_named else (),
    )
