"""Names looked up in NTFS folders without searching the same index again and again.

dissect.ntfs 3.16 parses an index anew for each name, 0.5 ms a name, and dissect.target's path resolver tries some ninety names for
each program that is no longer there: shimcache took 31 s for 1,024 rows. The evidence does not change, so what a folder holds is
kept: which record a name led to, and after some searches in a folder the set of its names, by which absent ones are refused.

The answers are dissect's own. A name that the set holds is still searched by dissect; one that the set does not hold is one that
no entry of the index equals, by the comparison that dissect's search uses (both names in Python's upper case).
The owner file of dissect.ntfs.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Any

from dissect.ntfs.exceptions import FileNotFoundError as NoSuchNameError
from dissect.ntfs.exceptions import NotADirectoryError as NotAFolderError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_NAMES = 65_536
_MOST_FOLDERS = 256
# A name costs a search about as much as eight names cost to list, and an index entry is about 100 bytes.
_NAMES_PER_SEARCH = 8
_BYTES_PER_NAME = 100
_LENGTH_AT, _NAME_AT = 64, 66  # inside $FILE_NAME (libfsntfs documentation, "The file name attribute")


class FolderNames:
    """Path lookups in one NTFS filesystem; `get_path` takes the place of dissect.ntfs's `Mft._get_path`."""

    def __init__(self, mft: Any) -> None:
        self._mft = mft
        self._found: OrderedDict[tuple[int, str], Any] = OrderedDict()
        self._names: OrderedDict[int, frozenset[str]] = OrderedDict()
        self._searches: Counter[int] = Counter()

    def get_path(self, path: str, root: Any = None) -> Any:
        """The MFT record that a path leads to, links followed, from `root` or the filesystem's root.

        Raises:
            NoSuchNameError, NotAFolderError: as dissect.ntfs has it.
        """
        node = root or self._mft.root
        for part in path.replace("/", "\\").split("\\"):
            if not part:
                continue
            while node.is_symlink() or node.is_mount_point():
                node = node.reparse_point_record
            if not node.is_dir():
                message = f"Error finding path {path}: a part of it is not a directory"
                raise NotAFolderError(message)
            node = self._child(node, part, path)
        return node

    def _child(self, folder: Any, name: str, path: str) -> Any:
        key = (folder.segment, name.upper())
        if key not in self._found:
            if not self._may_hold(folder, key[1]):
                raise NoSuchNameError(f"File not found: {path}")  # noqa: EM102, TRY003 - hot, and never shown
            try:
                self._found[key] = folder.index("$I30").search(name).dereference()
            except KeyError as error:
                raise NoSuchNameError(f"File not found: {path}") from error  # noqa: EM102, TRY003
            if len(self._found) > _MOST_NAMES:
                self._found.popitem(last=False)
        return self._found[key]

    def _may_hold(self, folder: Any, name: str) -> bool:
        segment = folder.segment
        names = self._names.get(segment)
        if names is None:
            self._searches[segment] += 1
            index = folder.index("$I30")
            size = index._index_stream.size if index._index_stream else 0  # noqa: SLF001 - its size is nowhere else
            if self._searches[segment] * _NAMES_PER_SEARCH * _BYTES_PER_NAME < size:
                return True
            names = self._names[segment] = frozenset(_iter_names(index))
            if len(self._names) > _MOST_FOLDERS:
                self._names.popitem(last=False)
        return name in names


def remember_names(filesystem: Any) -> None:
    """Makes an NTFS filesystem that dissect opened look names up through FolderNames."""
    filesystem.ntfs.mft._get_path = FolderNames(filesystem.ntfs.mft).get_path  # noqa: SLF001 - its only lookup


def _iter_names(index: Any) -> Iterator[str]:
    for entry in index.entries():
        if len(entry.buf) > _NAME_AT:
            yield entry.buf[_NAME_AT : _NAME_AT + entry.buf[_LENGTH_AT] * 2].decode("utf-16-le", "surrogatepass").upper()
