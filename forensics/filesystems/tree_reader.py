"""Lists any filesystem that is given as a tree of inodes, and reads its streams.

Each directory is entered once, whatever its names say, so that a loop ends; a loop is a problem. An inode that no name leads to is
listed as an orphan. Whatever a library raises over one item becomes that item's problem.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from forensics.boundary import attempt
from forensics.errors import FilesystemError, ForensicsError, Problem, Stage, StreamReadError
from forensics.filesystems.base import Content, Entry, Kind, Recovery
from forensics.filesystems.orphans import OrphanBudget
from forensics.filesystems.tree import Inode, InodeAddress
from forensics.filesystems.tree_space import own
from forensics.names import display_path, escape_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from forensics.filesystems.base import ListingLimits, Stream, StreamAddress
    from forensics.filesystems.tree import InodeStream, InodeTree, Name
    from forensics.filesystems.tree_space import TreeSpace
    from forensics.filesystems.unowned import OwnedBlocks

_MAXIMUM_DEPTH = 1000
_LONGEST_REASON = 500
_ORPHANS = b"$OrphanFiles"  # as TSK names the folder that it makes up
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Directory:
    inode: InodeAddress
    path: bytes
    depth: int
    orphan: bool


@dataclass(frozen=True, slots=True)
class _Listing:
    """One listing: inodes that a name led to, directories that were entered, the bound on orphans, whether attributes are listed."""

    named: set[InodeAddress]
    entered: set[InodeAddress]
    budget: OrphanBudget
    attributes: bool
    owned: OwnedBlocks | None


class GuardedStream:
    """A stream whose reads may raise anything; what they raise becomes a StreamReadError."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.size = stream.size

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes `stream[offset : offset + length]`, fewer only at its end.

        Raises:
            StreamReadError: they cannot be read; also where the library gives fewer than there should be.
        """
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        data = _called(lambda: self._stream.read_at(offset, length))
        if len(data) < length:
            message = f"only {len(data)} of {length} bytes at byte {offset} could be read"
            raise StreamReadError(message)
        return data


class TreeReader:
    """Entries and streams of a tree of inodes, and what of the volume is in no file.

    Args:
        tree: the tree.
        space: what is listed of the volume's space with it; None where nothing is.
    """

    def __init__(self, tree: InodeTree, space: TreeSpace | None = None) -> None:
        self._tree, self._space = tree, space
        self.filesystem = tree.filesystem

    def open_stream(self, address: StreamAddress) -> GuardedStream:
        """The stream at the address.

        Raises:
            StreamReadError: there is none, or it cannot be opened.
        """
        space = self._space
        if space is not None and space.holds(address):
            return _called(lambda: GuardedStream(space.open_stream(address)))
        return _called(lambda: GuardedStream(self._tree.open_stream(address)))

    def iter_entries(self, limits: ListingLimits) -> Iterator[Entry | Problem]:
        """Every stream of every entry under the root, then of every inode without a name; a Problem for what could not be listed.

        Raises:
            FilesystemError: the root directory cannot be read, and there is nothing without a name, so nothing can be listed.
        """
        space = self._space if limits.unallocated else None
        owned = space.nothing_owned() if space is not None else None
        listing = _Listing({self._tree.root}, {self._tree.root}, OrphanBudget(limits), limits.attributes, owned)
        failure = self.root_failure()
        if failure and not self.has_unnamed():
            raise FilesystemError(failure)
        yield from self._walk(_Directory(self._tree.root, b"", 0, orphan=False), listing)
        for unnamed in _stepped(lambda: self._tree.iter_unnamed(listing.named)):
            if isinstance(unnamed, Problem):
                yield unnamed
            elif isinstance(unnamed, Exception):
                yield _problem("orphans-unreadable", "inodes without a name could not be looked for", _words(unnamed), b"", None)
            elif unnamed not in listing.named:
                yield from self._orphan(unnamed, listing)
        yield from listing.budget.problems()
        if space is not None:
            yield from space.iter_entries(owned)

    def runs_of(self, address: StreamAddress) -> tuple[tuple[int, int], ...]:
        """Where unallocated space, or what is in no file, lies in the volume: (first byte, bytes), in order; nothing for other streams.

        Raises:
            StreamReadError: there is no such space.
        """
        space = self._space
        return _called(lambda: space.runs_of(address)) if space is not None and space.holds(address) else ()

    def root_failure(self) -> str:
        """Why not one name of the root directory can be read; "" where one can, and where the directory is empty."""
        failure = ""
        for name in _stepped(lambda: self._tree.iter_names(self._tree.root)):
            if not isinstance(name, Exception | str):
                return ""
            failure = failure or f"the root directory cannot be read: {_words(name)}"
        return failure

    def has_unnamed(self) -> bool:
        """Whether inodes can be listed that no name leads to."""
        return any(isinstance(found, InodeAddress) for found in _stepped(lambda: self._tree.iter_unnamed({self._tree.root})))

    def _orphan(self, inode: InodeAddress, listing: _Listing) -> Iterator[Entry | Problem]:
        listing.named.add(inode)
        space = b"" if inode.space in (0, self._tree.root.space) else b"%d-" % inode.space
        path = _ORPHANS + b"/OrphanFile-" + space + b"%d" % inode.number
        if not listing.budget.count():
            return
        found = self._read(inode)
        yield from self._entries(found, inode, path, listing, orphan=True)
        if isinstance(found, Inode) and found.kind is Kind.DIRECTORY and inode not in listing.entered:
            listing.entered.add(inode)
            yield from self._walk(_Directory(inode, path, 1, orphan=True), listing)

    def _walk(self, start: _Directory, listing: _Listing) -> Iterator[Entry | Problem]:
        waiting = [start]
        while waiting:
            directory = waiting.pop()
            below: list[_Directory] = []
            for name in _stepped(lambda: self._tree.iter_names(directory.inode)):  # noqa: B023 - it ends before the next turn
                if isinstance(name, Exception | str):
                    why = _words(name)
                    yield _problem("directory-unreadable", "a directory could not be read whole", why, directory.path, directory.inode)
                elif name.name not in (b".", b".."):
                    yield from self._named(name, directory, below, listing)
            for child in below:
                if child.inode in listing.entered or child.depth > _MAXIMUM_DEPTH:
                    what = "a directory is listed under more than one path; it was entered once"
                    yield _problem("directory-loop", what, "a loop of links, or a depth without end", child.path, child.inode)
                else:
                    listing.entered.add(child.inode)
                    waiting.append(child)

    def _named(self, name: Name, directory: _Directory, below: list[_Directory], listing: _Listing) -> Iterator[Entry | Problem]:
        path = directory.path + b"/" + name.name if directory.path else name.name
        if directory.orphan and not listing.budget.count():
            return
        if b"/" in name.name or b"\0" in name.name or not name.name:
            yield _problem("name-invalid", "a name is one that no system makes", "it is empty or holds / or NUL", path, name.inode)
        listing.named.add(name.inode)
        found = self._read(name.inode)
        yield from self._entries(found, name.inode, path, listing, orphan=directory.orphan)
        if isinstance(found, Inode) and found.kind is Kind.DIRECTORY:
            below.append(_Directory(name.inode, path, directory.depth + 1, directory.orphan))

    def _read(self, inode: InodeAddress) -> Inode | Exception:
        try:
            return _called(lambda: self._tree.read_inode(inode))
        except StreamReadError as error:
            return error

    def _entries(
        self, found: Inode | Exception, address: InodeAddress, path: bytes, listing: _Listing, *, orphan: bool
    ) -> Iterator[Entry | Problem]:
        if isinstance(found, Exception):
            yield _problem("metadata-damaged", "the metadata of an entry cannot be read", str(found), path, address)
            yield _entry(path, address, None, None, Content.NONE, orphan=orphan)
            return
        for why in found.problems:
            yield _problem("metadata-damaged", "what an entry says of its file may be wrong or not whole", why, path, address)
        streams: list[InodeStream | None] = [one for one in found.streams if listing.attributes or not one.is_attribute]
        if not any(one is not None and not one.name for one in streams):
            streams.insert(0, None)
        for stream in streams:
            content = Content.NONE if stream is None else Content.READ
            if orphan and stream is not None and not listing.budget.take(stream.size or 0):
                content = Content.SKIP
            owned = listing.owned
            if stream is not None and content is Content.READ and owned is not None:
                # Blocks that cannot be found stay in no file, and reading the stream says what is wrong.
                attempt(lambda: own(self._tree.open_stream(stream.address), owned))  # noqa: B023 - called before the next turn
            yield _entry(path, address, found, stream, content, orphan=orphan)


def _entry(path: bytes, address: InodeAddress, inode: Inode | None, stream: InodeStream | None, content: Content, *, orphan: bool) -> Entry:
    read = inode or Inode(kind=Kind.UNKNOWN)
    target = read.link_target
    return Entry(
        path=path,
        stream=stream.name if stream else "",
        address=stream.address if stream else None,
        metadata_address=address.number,
        kind=read.kind,
        link_target=None if target is None else escape_text(target.decode("utf-8", "backslashreplace")),
        name_allocated=None if orphan else True,
        metadata_allocated=None if inode is None else True,
        recovery=Recovery.ORPHAN if orphan else Recovery.ALLOCATED,
        content=content,
        size=stream.size if stream else read.size,
        times=read.times,
        name_times=None,
        owner=read.owner,
        group=read.group,
        mode=None if read.mode is None else read.mode & 0o7777,
        links=read.links,
        sequence=read.sequence,
    )


def opened(name: str, begin: Callable[[], _T]) -> _T:
    """What `begin` opens.

    Raises:
        FilesystemError: whatever it raised, in words that begin with the filesystem's name.
    """
    try:
        return _called(begin)
    except StreamReadError as error:
        message = f"{name} cannot be opened: {error}"
        raise FilesystemError(message) from error


def _stepped(begin: Callable[[], Iterator[_T]]) -> Iterator[_T | Exception]:
    """What the iterator gives, one at a time, and the exception that ended it."""
    steps: list[Iterator[_T]] = []
    failure = attempt(lambda: steps.append(begin()))
    while failure is None:
        got: list[_T] = []
        failure = attempt(lambda: got.extend(islice(steps[0], 1)))  # noqa: B023 - called before the next turn
        yield from got
        if failure is None and not got:
            return
    yield failure


def _called(action: Callable[[], _T]) -> _T:
    """What the action gives.

    Raises:
        StreamReadError: whatever it raised.
    """
    got: list[_T] = []
    failure = attempt(lambda: got.append(action()))
    if failure is not None:
        raise StreamReadError(_words(failure)) from failure
    return got[0]


def _words(failure: Exception | str) -> str:
    """A failure in words: those of our own errors as they are, a library's with the exception's name."""
    if isinstance(failure, ForensicsError | str):
        return str(failure)
    said = escape_text(str(failure)[:_LONGEST_REASON])
    return f"{type(failure).__name__}: {said}" if said else type(failure).__name__


def _problem(code: str, what: str, why: str, path: bytes, inode: InodeAddress | None) -> Problem:
    return Problem(
        stage=Stage.FILESYSTEM,
        code=code,
        what=what,
        why=why,
        path=display_path(path)[0],
        metadata_address=None if inode is None else inode.number,
    )
