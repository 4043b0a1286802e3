"""The files that lie beside a file of the exhibit, found in a listing: what an image inside the exhibit may need."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from forensics.content import iter_blocks
from forensics.expansion.disk_image import DISK_IMAGE, DiskImage
from forensics.filesystems.base import Kind, Recovery, StreamAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from forensics.expansion.base import Opener
    from forensics.filesystems.base import FilesystemReader

COLUMNS = ["volume", "path", "path_bytes", "stream", "kind", "recovery", "size", "metadata_address", "attribute_type", "attribute_id"]
"""What of a listing is needed."""
_THERE = pa.array([str(Recovery.ALLOCATED), str(Recovery.SHADOW_COPY)])


def beside(opener: Opener, row: Mapping[str, Any], reader: FilesystemReader, listing: Callable[[], pa.Table]) -> Opener:
    """The opener; of disk images one that knows what lies beside the file of the row.

    Args:
        opener: what was chosen for the content of the row.
        row: a row of `entries`.
        reader: the filesystem of its volume.
        listing: gives the rows of its volume, with the columns above at least; called only if it is asked what lies there.
    """
    is_file = row["attribute_type"] is not None and not row["stream"]  # and not carved, and no named stream
    if opener is not DISK_IMAGE or not is_file:
        return opener
    return DiskImage(_Siblings(row, reader, listing))


class _Siblings:
    """The plain files in the folder of one file, those that exist under their names."""

    def __init__(self, row: Mapping[str, Any], reader: FilesystemReader, listing: Callable[[], pa.Table]) -> None:
        self._row, self._reader, self._listing = row, reader, listing
        self.own = _name_of(row)

    def sizes(self) -> Mapping[str, int]:
        """Size in bytes of each by its name."""
        return {name: row["size"] or 0 for name, row in self._rows.items()}

    def blocks(self, name: str) -> Iterator[bytes]:
        """The content of one of them.

        Raises:
            StreamReadError: some of it cannot be read.
        """
        row = self._rows[name]
        address = StreamAddress(row["metadata_address"], row["attribute_type"], row["attribute_id"])
        yield from iter_blocks(self._reader.open_stream(address))

    @cached_property
    def _rows(self) -> dict[str, dict[str, Any]]:
        listing = self._listing().select(COLUMNS)
        folder = self._row["path"].rpartition("/")[0]
        depth = self._row["path"].count("/")
        is_beside = pc.and_(pc.equal(pc.count_substring(listing["path"], "/"), depth), pc.equal(listing["volume"], self._row["volume"]))
        if folder:
            is_beside = pc.and_(is_beside, pc.starts_with(listing["path"], f"{folder}/"))
        is_file = pc.and_(pc.equal(listing["kind"], str(Kind.FILE)), pc.equal(listing["stream"], ""))
        is_there = pc.and_(pc.is_in(listing["recovery"], _THERE), pc.is_valid(listing["attribute_type"]))
        found = listing.filter(pc.and_(is_beside, pc.and_(is_file, is_there))).to_pylist()
        return {_name_of(row): row for row in found if row["path"] != self._row["path"]}


def _name_of(row: Mapping[str, Any]) -> str:
    return os.fsdecode((row["path_bytes"] or row["path"].encode()).rpartition(b"/")[2])
