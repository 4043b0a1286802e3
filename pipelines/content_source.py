"""The bytes of rows of `entries`, found again in the evidence: of a stream, of a piece of free space, of what was carved, of members.

A row of an archive's member, and one of a carved file, says where its outermost content stands by columns that `SELECT_PLACED` adds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forensics.boundary import attempt
from forensics.content import iter_blocks
from forensics.errors import ImageReadError, StreamReadError
from forensics.expansion.encrypted_container import EncryptedContainer
from forensics.expansion.walk import SEPARATOR, Content, expand, opener_of
from forensics.filesystems.base import Recovery, StreamAddress
from forensics.filesystems.raw_space import RangeStream
from forensics.names import display_path
from forensics.readable import BLOCK_BYTES
from forensics.rule_externals import Externals
from pipelines.inside import OPENERS, address_chain, take_copy
from pipelines.siblings import beside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa

    from forensics.content import ContentReader
    from forensics.credentials import Credential
    from forensics.errors import Problem
    from forensics.expansion.bounds import Bounds
    from forensics.expansion.walk import Item
    from forensics.filesystems.base import Stream
    from forensics.volume_tree import VolumeTree

_SEPARATOR = SEPARATOR.decode()
_REASONS = 3  # of what went wrong on the way to a member, so many are said
SELECT_PLACED = """
SELECT {columns}, c.found_in, c."offset" AS found_at, c.length AS found_length, o.attribute_type AS outer_type, o.attribute_id AS outer_id,
    o.recovery AS outer_recovery
FROM (SELECT * FROM entries e WHERE {condition}) e
LEFT JOIN carved c ON e.attribute_type IS NULL AND c.path = split_part(e.path, '//', 1) AND c.volume = e.volume
    AND c.stream = e.stream AND c.metadata_address IS NOT DISTINCT FROM e.metadata_address
LEFT JOIN entries o ON o.path = c.found_in AND o.volume = c.volume AND o.stream = c.stream
    AND o.metadata_address IS NOT DISTINCT FROM c.metadata_address AND o.recovery IN ('unallocated', 'in no file', 'slack')
"""
"""SQL that selects rows with the place of what holds them: `columns` of e, and a `condition` on e."""
WITHOUT_CARVED = "SELECT {columns}, NULL AS found_in FROM entries e WHERE {condition}"
"""The same for a run that carved nothing, and so has no such table."""


def open_content(row: dict[str, Any], tree: VolumeTree) -> Stream:
    """The content of a row, and of an archive's member that of the outermost container.

    Raises:
        ForensicsError: it cannot be found.
    """
    if row["attribute_type"] is not None:
        return _open(row, tree, row["attribute_type"], row["attribute_id"], slack=row["recovery"] == Recovery.SLACK)
    if row["found_in"] is None or row["outer_type"] is None:
        message = "the tables do not say where it stands"
        raise StreamReadError(message)
    space = _open(row, tree, row["outer_type"], row["outer_id"], slack=row["outer_recovery"] == Recovery.SLACK)
    return RangeStream(_StreamSource(space), row["found_at"], row["found_length"])


def container_of(row: dict[str, Any]) -> tuple[Any, ...] | None:
    """What is the same for all members of one outermost container; None for a row that is no member."""
    if row["recovery"] != Recovery.MEMBER:
        return None
    names = ("volume", "metadata_address", "stream", "attribute_type", "attribute_id")
    return row["path"].split(_SEPARATOR, 1)[0], *(row[name] for name in names)


class MemberWalk:
    """Goes once through a container, and gives those of its members that are asked for."""

    def __init__(
        self, contents: ContentReader, credentials: tuple[Credential, ...], bounds: Bounds, listing: Callable[[], pa.Table]
    ) -> None:
        """`listing` gives the rows of `entries` of the run, for what lies beside a disk image inside it."""
        self._contents, self._credentials, self._bounds, self._listing = contents, credentials, bounds, listing

    def read(self, rows: Sequence[dict[str, Any]], tree: VolumeTree, take: Callable[[int, Iterator[bytes]], None]) -> tuple[Problem, ...]:
        """Calls `take` for each member found again, with its place in `rows` and its bytes; for those not found, not.

        Returns:
            What went wrong on the way, `path` counted from the container.

        Raises:
            ForensicsError: the container cannot be read.
        """
        stream = open_content(rows[0], tree)
        name = rows[0]["path"].split(_SEPARATOR, 1)[0].rpartition("/")[2]
        with self._contents.opened(iter_blocks(stream), None, _no_externals) as (result, content), content.open() as file:
            container = Content(file=file, size=content.size, head=content.head(), mime_type=result.mime_type, name=name)
            finder = _Finder(rows, self._contents, take)
            openers = (*OPENERS, EncryptedContainer())
            opener = opener_of(container, openers)
            if opener is not None:
                outermost = {**rows[0], "path": rows[0]["path"].split(_SEPARATOR, 1)[0], "path_bytes": None}
                opener = beside(opener, outermost, tree.reader(rows[0]["volume"]), self._listing)
            found = expand(container, finder.take, bounds=self._bounds, credentials=self._credentials, openers=openers, outermost=opener)
            return tuple(found)


def not_found(row: dict[str, Any], problems: Sequence[Problem]) -> StreamReadError:
    """Why a member was not found in its container again: what opened it then, and what stopped the way to it now."""
    inside = row["path"].partition(_SEPARATOR)[2]
    on_the_way = [one for one in problems if not one.path or inside == one.path or inside.startswith(one.path + "/")]
    said = ["it was not found in its container again"]
    if row["unlocked_with"]:
        said.append(f"it was opened with a credential ({row['unlocked_with']}); give it with --credentials")
    said += [f"{one.what}: {one.why}" for one in on_the_way[:_REASONS]]
    return StreamReadError("; ".join(said))


class _Finder:
    """Finds members by their addresses and names: a file of several names has one address, and each of its names a row."""

    def __init__(self, rows: Sequence[dict[str, Any]], contents: ContentReader, take: Callable[[int, Iterator[bytes]], None]) -> None:
        self._contents, self._take = contents, take
        self._wanted: dict[tuple[tuple[str, ...], str], int] = {}
        self._on_the_way: set[tuple[str, ...]] = set()
        for number, row in enumerate(rows):
            chain = tuple(row["address_chain"] or ())
            self._wanted[chain, row["path"].partition(_SEPARATOR)[2]] = number
            self._on_the_way |= {chain[:length] for length in range(1, len(chain))}

    def take(self, item: Item) -> Content | None:
        """Hands on a member that is sought; opens a container on the way to one; passes over anything else."""
        chain = tuple(address_chain(item))
        if item.blocks is None:
            return None
        # Each row is handed on once, should a damaged container list a member twice.
        number = self._wanted.pop((chain, display_path(SEPARATOR.join(step.path for step in item.steps))[0]), None)
        if chain not in self._on_the_way:
            if number is not None:
                self._take(number, item.blocks)
            return None
        name = display_path(item.steps[-1].path)[0].rpartition("/")[2]
        _, copy = take_copy(self._contents, item, _no_externals, name)
        if number is not None and copy is not None:
            file = copy.file
            self._take(number, iter(lambda: file.read(BLOCK_BYTES), b""))
            file.seek(0)
        return copy


class _StreamSource:
    """A stream as a byte source."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.size = stream.size

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes of the stream."""
        try:
            return self._stream.read_at(offset, length)
        except StreamReadError as error:
            raise ImageReadError(str(error)) from error


def _open(row: dict[str, Any], tree: VolumeTree, attribute_type: int, attribute_id: int, *, slack: bool) -> Stream:
    address = StreamAddress(row["metadata_address"], attribute_type, attribute_id, slack)
    streams: list[Stream] = []
    failure = attempt(lambda: streams.append(tree.reader(row["volume"]).open_stream(address)), passing=(StreamReadError,))
    if failure is not None:
        message = f"volume {row['volume']} cannot be read as it was then ({failure}); give the credentials that opened it"
        raise StreamReadError(message) from failure
    return streams[0]


def _no_externals(first_bytes: bytes) -> Externals:
    del first_bytes  # nothing is scanned
    return Externals.of_path("", windows=False, filetype="", owner="")
