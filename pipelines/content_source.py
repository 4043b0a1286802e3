"""The bytes of a row of `entries`, found again in the evidence: of a stream, of a piece of free space, of what was carved, of a member."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from forensics.content import BLOCK_BYTES, iter_blocks
from forensics.errors import ArchiveError, ImageReadError, StreamReadError
from forensics.expansion.bounds import Bounds
from forensics.expansion.walk import Content, expand
from forensics.filesystems.base import Recovery, StreamAddress
from forensics.filesystems.raw_space import RangeStream
from forensics.rule_externals import Externals
from pipelines.inside import OPENERS, SEPARATOR, address_chain, take_copy
from pipelines.query import query_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from forensics.content import ContentReader
    from forensics.credentials import Credential
    from forensics.expansion.walk import Item
    from forensics.filesystems.base import Stream
    from forensics.volume_tree import VolumeTree


@contextmanager
def content_blocks(
    row: dict[str, Any], tree: VolumeTree, contents: ContentReader, credentials: tuple[Credential, ...], run: Path
) -> Iterator[Iterator[bytes]]:
    """The content of a row, in order.

    Raises:
        ForensicsError: it cannot be found or read.
    """
    if row["recovery"] == Recovery.MEMBER:
        with _member(row, tree, contents, credentials, run) as blocks:
            yield blocks
    elif row["recovery"] == Recovery.CARVED:
        yield _carved(row, tree, run)
    else:
        yield iter_blocks(_stream(row, tree))


def _stream(row: dict[str, Any], tree: VolumeTree) -> Stream:
    if row["attribute_type"] is None:
        message = "the row names no stream that could be opened"
        raise StreamReadError(message)
    address = StreamAddress(row["metadata_address"], row["attribute_type"], row["attribute_id"], row["recovery"] == Recovery.SLACK)
    return tree.reader(row["volume"]).open_stream(address)


def _carved(row: dict[str, Any], tree: VolumeTree, run: Path) -> Iterator[bytes]:
    place = f"volume = {_text(row['volume'])} AND path = {_text(row['path'])} AND stream = {_text(row['stream'])}"
    _, found = query_run(run, f'SELECT found_in, "offset", length FROM carved WHERE {place}')  # noqa: S608 - quoted
    found_in, offset, length = next(iter(found))
    outer = _row_of(run, row, f"path = {_text(found_in)} AND recovery IN ('unallocated', 'slack')")
    return iter_blocks(RangeStream(_StreamSource(_stream(outer, tree)), offset, length))


@contextmanager
def _member(
    row: dict[str, Any], tree: VolumeTree, contents: ContentReader, credentials: tuple[Credential, ...], run: Path
) -> Iterator[Iterator[bytes]]:
    separator = SEPARATOR.decode()
    outermost = row["path"].split(separator, 1)[0]
    outer = _row_of(run, row, f"path = {_text(outermost)} AND recovery <> 'archive member'")
    with (
        content_blocks(outer, tree, contents, credentials, run) as blocks,
        contents.opened(blocks, outer["size"], _no_externals) as (result, content),
        content.open() as file,
    ):
        container = Content(
            file=file, size=content.size, head=content.head(), mime_type=result.mime_type, name=outermost.rpartition("/")[2]
        )
        with tempfile.TemporaryFile(dir=contents.spool) as kept:
            finder = _Finder(row, outermost.encode() if outer["path_bytes"] is None else outer["path_bytes"], contents, kept)
            for _ in expand(container, finder.take, bounds=Bounds(), credentials=credentials, openers=OPENERS):
                pass  # problems stand in the run's tables
            if not finder.is_found:
                message = "the member was not found in its container again"
                raise ArchiveError(message)
            kept.seek(0)
            yield iter(lambda: kept.read(BLOCK_BYTES), b"")


class _Finder:
    """Walks to one member, and copies its content."""

    def __init__(self, row: dict[str, Any], outermost: bytes, contents: ContentReader, kept: BinaryIO) -> None:
        self._path, self._chain = row["path"], list(row["address_chain"] or ())
        self._outermost, self._contents, self._kept = outermost, contents, kept
        self.is_found = False

    def take(self, item: Item) -> Content | None:
        """Copies the member sought; opens a container on the way to it; passes over anything else."""
        chain = address_chain(item)
        if self.is_found or item.blocks is None or chain != self._chain[: len(chain)]:
            return None
        if len(chain) < len(self._chain):
            return take_copy(self._contents, item, _no_externals, "")[1]
        for block in item.blocks:
            self._kept.write(block)
        self.is_found = True
        return None


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


def _row_of(run: Path, row: dict[str, Any], condition: str) -> dict[str, Any]:
    """The row of `entries` of the same volume and address that fits the condition."""
    address = "IS NULL" if row["metadata_address"] is None else f"= {row['metadata_address']}"
    columns = ("volume", "metadata_address", "stream", "path", "path_bytes", "attribute_type", "attribute_id", "recovery", "size", "sha256")
    place = f"volume = {_text(row['volume'])} AND metadata_address {address} AND {condition}"
    _, found = query_run(run, f"SELECT {', '.join(columns)}, address_chain FROM entries WHERE {place}")  # noqa: S608 - quoted
    values = next(iter(found), None)
    if values is None:
        message = "what holds it is not in the table entries"
        raise ArchiveError(message)
    return dict(zip((*columns, "address_chain"), values, strict=True))


def _no_externals(first_bytes: bytes) -> Externals:
    del first_bytes  # nothing is scanned
    return Externals.of_path("", windows=False, filetype="", owner="")


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
