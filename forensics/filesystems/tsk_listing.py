"""The walk through a filesystem's folders, as `fls -r` walks, and what each name in them makes.

Takes fls's rule for deleted directories, and in addition loads the metadata of orphans. Each directory is entered once, whatever its
links say, so that a loop ends; a loop is a problem.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from forensics.errors import FilesystemError, Problem, Stage, StreamReadError
from forensics.filesystems.base import Content, Recovery
from forensics.filesystems.orphans import OrphanBudget
from forensics.filesystems.recycled_names import RecycledNames, below, is_bin
from forensics.filesystems.tsk_entries import BAD_CLUSTERS, DIRECTORY_TYPES, EntryMaker, lacks_content
from forensics.filesystems.tsk_names import META_ALLOCATED, NAME_ALLOCATED, NameResolver, entry_problem
from forensics.filesystems.tsk_stream import attributes_of
from forensics.names import display_path
from forensics.sleuthkit import TSK_ERRORS, damage, tolerate, tsk_reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.filesystems.base import Entry, ListingLimits
    from forensics.filesystems.deleted_blocks import DeletedBlocks
    from forensics.filesystems.ext_attribute_streams import ExtAttributeStreams
    from forensics.filesystems.file_slack import FileSlack
    from forensics.filesystems.tsk_names import Named
    from forensics.filesystems.tsk_stream import Attribute
    from forensics.filesystems.unowned import OwnedBlocks
    from forensics.sleuthkit import OpenFilesystem

_MAXIMUM_DEPTH = 1000
_NAMED_BUT_NOT_LISTED = (b".", b"..")


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What is found out besides what names and metadata say; None where it was not asked for, or cannot be."""

    slack: FileSlack | None = None
    deleted: DeletedBlocks | None = None
    attributes: ExtAttributeStreams | None = None
    owned: OwnedBlocks | None = None


@dataclass(frozen=True, slots=True)
class _Directory:
    address: int
    path: bytes
    depth: int
    orphan: bool
    original_path: str | None = None


class TskListing:
    """One walk through one filesystem."""

    def __init__(self, filesystem: OpenFilesystem, limits: ListingLimits, extras: Extras) -> None:
        self._filesystem, self._fs, self._media = filesystem, filesystem.handle, filesystem.media
        self._is_ntfs = filesystem.name == "ntfs"
        self._orphan_directory = int(self._fs.info.last_inum)
        self._resolver = NameResolver(filesystem)
        self._entries = EntryMaker(filesystem.name, attributes=limits.attributes)
        self._budget = OrphanBudget(limits)
        self._extras = extras

    def iter_entries(self) -> Iterator[Entry | Problem]:
        """Every stream of every entry under the root and among the orphans; a Problem for what could not be listed.

        Raises:
            FilesystemError: the root directory cannot be read, so nothing can be listed.
        """
        waiting = [_Directory(int(self._fs.info.root_inum), b"", 0, orphan=False)]
        entered = {waiting[0].address}
        self._own_root(waiting[0].address)
        while waiting:
            directory = waiting.pop()
            lost: list[str] = []
            try:
                names = self._files(directory, lost)
            except TSK_ERRORS as error:
                why = "; ".join(filter(None, (tsk_reason(error), damage(lost))))
                if not directory.path:
                    message = f"the root directory cannot be read: {why}"
                    raise FilesystemError(message) from error
                yield _directory_problem(directory, "directory-unreadable", "a directory cannot be read", why)
                continue
            children = []
            for file, original_path in self._with_original_paths(names, directory):
                yield from self._list_file(file, directory, original_path)
                child = self._child(file, directory, original_path)
                if child is None:
                    continue
                if child.address in entered or child.depth > _MAXIMUM_DEPTH:
                    yield _directory_problem(
                        child, "directory-loop", "a directory is listed under more than one path; it was entered once", "a loop of links"
                    )
                    continue
                entered.add(child.address)
                children.append(child)
            waiting.extend(reversed(children))
            if lost:
                what = "some of what a directory is listed from cannot be read; entries of it may be missing, deleted ones above all"
                yield _directory_problem(directory, "directory-damaged", what, damage(lost))
        if self._extras.deleted is not None:
            yield from self._extras.deleted.settle()
        yield from self._budget.problems()

    def _files(self, directory: _Directory, lost: list[str]) -> Iterator[Any]:
        """The files that TSK finds in the directory; `lost` takes why reads failed that TSK got over, as fls does.

        Raises:
            OSError: the directory cannot be opened.
        """
        # TSK looks through the whole MFT for what lies in a directory, and gives up at the first entry that it cannot read. It gets over
        # one that is none, and over a record of an index that is none; zeros are neither.
        with tolerate(self._media, lost, zeros=self._is_ntfs):
            names = iter(self._fs.open_dir(inode=directory.address))
        return self._each(names, lost)

    def _each(self, names: Iterator[Any], lost: list[str]) -> Iterator[Any]:
        while True:
            with tolerate(self._media, lost):  # not longer than one step: contents may be read between two
                file = next(names, None)
            if file is None:
                return
            yield file

    def _with_original_paths(self, names: Iterator[Any], directory: _Directory) -> Iterator[tuple[Any, str | None]]:
        """The files of a directory, each with the path that it was deleted from, if it lies in a recycle bin."""
        recycled = None
        if is_bin(directory.path):
            listed = list(names)
            recycled = RecycledNames(listed, self._resolver)
            names = iter(listed)
        for file in names:
            name = bytes(file.info.name.name)
            if name in _NAMED_BUT_NOT_LISTED:
                continue
            original_path = recycled.original_path(name) if recycled is not None else None
            yield file, below(directory.original_path, name) if directory.original_path is not None else original_path

    def _child(self, file: Any, parent: _Directory, original_path: str | None) -> _Directory | None:
        """The directory to enter for this name; None if it is none, or belongs to somebody else by now."""
        meta = self._resolver.resolve(file, b"")[0].meta
        if meta is None or int(meta.type) not in DIRECTORY_TYPES:
            return None
        # fls's rule: a deleted name whose metadata is allocated again leads to another directory's contents.
        if not int(file.info.name.flags) & NAME_ALLOCATED and int(meta.flags) & META_ALLOCATED:
            return None
        address = int(meta.addr)
        orphan = parent.orphan or address == self._orphan_directory
        return _Directory(address, _join(parent.path, file.info.name.name), parent.depth + 1, orphan, original_path)

    def _list_file(self, file: Any, directory: _Directory, original_path: str | None) -> Iterator[Entry | Problem]:
        """One Entry a stream of the file, at least one."""
        path = _join(directory.path, file.info.name.name)
        if directory.orphan and not self._budget.count():
            return
        address = int(file.info.name.meta_addr)
        found, problem = self._resolver.resolve(file, path)
        if problem is not None:
            yield problem
        attributes: list[Attribute] = []
        if found.meta is not None:
            try:
                attributes = attributes_of(found.file)
            except TSK_ERRORS as error:
                yield entry_problem(address, path, "metadata-damaged", "the attributes of an entry cannot be read", tsk_reason(error))
            if (damaged := self._resolver.record_problem(address, path)) is not None:
                yield damaged
            self._own(found.meta, attributes)
            if lacks_content(found.meta, attributes):
                why = f"its metadata states {int(found.meta.size)} bytes and names no place where they lie"
                yield entry_problem(address, path, "content-not-placed", "the content of an entry could not be read", why)
        yield from self._with_extras(found, path, attributes, original_path, orphan=directory.orphan)

    def _own_root(self, address: int) -> None:
        if self._extras.owned is None:
            return
        try:
            root = self._fs.open_meta(inode=address)
            self._own(root.info.meta, attributes_of(root))
        except TSK_ERRORS:
            return  # its blocks stay in no file, and opening the directory says what is wrong

    def _own(self, meta: Any, attributes: list[Attribute]) -> None:
        """Takes the blocks of an allocated file, its directory's index too, as its own."""
        owned, filesystem = self._extras.owned, self._filesystem
        if owned is None or meta is None or not int(meta.flags) & META_ALLOCATED:
            return
        for attribute in attributes:
            if (int(meta.addr), attribute.name) == BAD_CLUSTERS and filesystem.name == "ntfs":
                continue
            try:
                runs = attribute.runs()
            except StreamReadError:
                continue  # blocks that cannot be found stay in no file; reading the stream says what is wrong
            for run in runs:
                if run.first is not None:
                    start = filesystem.first_block_byte + run.first * filesystem.block_size
                    owned.add(start, run.blocks * filesystem.block_size)

    def _with_extras(
        self, found: Named, path: bytes, attributes: list[Attribute], original_path: str | None, *, orphan: bool
    ) -> Iterator[Entry | Problem]:
        extras = self._extras
        default = None
        for entry, attribute in self._entries.iter_entries(
            found, path, attributes, self._budget, orphan=orphan, original_path=original_path
        ):
            default = default or entry
            is_deleted = entry.content is not Content.NONE and entry.recovery in (Recovery.DELETED, Recovery.ORPHAN)
            if extras.deleted is not None and attribute is not None and is_deleted:
                yield from extras.deleted.take(entry, attribute)
                continue
            yield entry
            if extras.slack is not None and attribute is not None:
                try:
                    slack = extras.slack.entry_of(entry, attribute)
                except StreamReadError as error:
                    what = "the slack of a file could not be found"
                    yield entry_problem(int(found.name.meta_addr), path, "slack-not-found", what, str(error))
                else:
                    yield from () if slack is None else (slack,)
        if extras.attributes is not None and default is not None:
            yield from extras.attributes.iter_entries(default)


def _join(directory: bytes, name: bytes) -> bytes:
    return directory + b"/" + name if directory else name


def _directory_problem(directory: _Directory, code: str, what: str, why: str) -> Problem:
    return Problem(
        stage=Stage.FILESYSTEM,
        code=code,
        what=what,
        why=why,
        path=display_path(directory.path)[0],
        metadata_address=directory.address,
    )
