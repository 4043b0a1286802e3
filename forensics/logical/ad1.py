"""AD1 (AccessData, FTK Imager) as logical evidence, with the digests that it states of each file.

The path that an AD1 was made of stands in the image's name, as a rule; its folders are listed first, then the items as stored.
"""

from __future__ import annotations

import calendar
import re
import time
import zlib
from array import array
from typing import TYPE_CHECKING

from forensics.errors import ImageReadError, StreamReadError
from forensics.filesystems.base import Kind, Times
from forensics.logical.ad1_structure import DELETED, FILE, FOLDER, UNKNOWN_FILE, Ad1Error, Ad1Image, Item
from forensics.logical.member import LONGEST_NAME, MAXIMUM_MEMBERS, Member, container_problem
from forensics.logical.reparse import parse_reparse_buffer
from forensics.names import escape_text
from forensics.timestamps import OutOfRange, from_unix

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from forensics.errors import Problem
    from forensics.filesystems.base import Entry, ListingLimits, StreamAddress
    from forensics.source import ByteSource

_MULTI = b"Custom Content Image([Multi])"
_FILE_CLASS, _ACCESSED, _CREATED, _MODIFIED = 2, 7, 8, 9
_MFT_CHANGED, _NAME_CREATED, _NAME_MODIFIED, _NAME_ACCESSED, _NAME_CHANGED = 0xA002, 0xA01C, 0xA01D, 0xA01E, 0xA01F
_DIGESTS = {0x5001: ("md5", 32), 0x5002: ("sha1", 40)}
_REPARSE_POINT = b"11"
_KINDS = {FILE: Kind.FILE, UNKNOWN_FILE: Kind.FILE, DELETED: Kind.FILE, FOLDER: Kind.DIRECTORY}
_TIME = re.compile(rb"(\d{8}T\d{6})(?:\.(\d{1,9}))?\0*")
_HEX = re.compile(r"[0-9a-f]+")
_DEEPEST = 1000
_LONGEST_TARGET = 64 * 1024


class Ad1Stream:
    """The content of one item: chunks, each compressed by itself (zlib).

    Attributes:
        size: bytes of it.
        stated: digests that the image states.
    """

    def __init__(self, image: Ad1Image, item: Item, stated: dict[str, str]) -> None:
        self._image, self._item = image, item
        self.size, self.stated = item.size, stated
        self._kept: tuple[int, bytes] = (-1, b"")

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes `stream[offset : offset + length]`, fewer only at its end.

        Raises:
            StreamReadError: they are damaged or not there.
        """
        parts, end = [], min(offset + length, self.size)
        while offset < end:
            index, skip = divmod(offset, self._image.chunk_size)
            part = self._chunk(index)[skip : skip + end - offset]
            parts.append(part)
            offset += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def checksum_failure(self) -> str:
        """Nothing: each chunk's checksum is checked when it is read."""
        return ""

    def _chunk(self, index: int) -> bytes:
        if self._kept[0] == index:
            return self._kept[1]
        try:
            data = self._unpacked(index)
        except (Ad1Error, ImageReadError, zlib.error) as error:
            message = f"chunk {index} of the content is damaged: {error}"
            raise StreamReadError(message) from error
        self._kept = index, data
        return data

    def _unpacked(self, index: int) -> bytes:
        size = self._image.chunk_size
        count = -(-self.size // size)
        table = self._image.read_at(self._item.chunks, 8)
        if int.from_bytes(table, "little") != count:
            message = f"the table states {int.from_bytes(table, 'little')} chunks where {self.size} bytes need {count}"
            raise Ad1Error(message)
        place = self._image.read_at(self._item.chunks + 8 + 8 * index, 16)
        start, following = int.from_bytes(place[:8], "little"), int.from_bytes(place[8:], "little")
        end = following if index + 1 < count else self._item.meta
        # Where the chunk ends is not always to be known; zlib knows, and gets no more than the worst case of its own.
        most = size + size // 1000 + 64
        packed = self._image.read_at(start, min(most, end - start) if end > start else most)
        expected = min(size, self.size - index * size)
        decoder = zlib.decompressobj()
        data = decoder.decompress(packed, expected + 1)
        if len(data) != expected or not (decoder.eof or not decoder.decompress(decoder.unconsumed_tail, 1)):
            message = f"it has {len(data)} bytes where {expected} should be"
            raise Ad1Error(message)
        return data


class Ad1Reader:
    """Lists an AD1. An item's metadata address is its number in stored order, the folders of the image's name counted first, from 1."""

    filesystem = "ad1"

    def __init__(self, source: ByteSource, sizes: Sequence[int]) -> None:
        """Opens it; `sizes` are the lengths of its segments, whose bytes follow each other in `source`.

        Raises:
            FilesystemError: it is damaged, or a segment is missing.
        """
        self._image = Ad1Image(source, sizes)
        name = self._image.name
        self._is_multi = name == _MULTI
        self._above = b"" if self._is_multi else _path(name)
        self._folders = [self._above[: at.start()] for at in re.finditer(b"/|$", self._above) if at.start()]
        self._offsets: array[int] | None = None

    def iter_entries(self, limits: ListingLimits) -> Iterator[Entry | Problem]:
        """Every item; a Problem for what could not be listed."""
        del limits  # they are for orphans
        for number, folder in enumerate(self._folders, start=1):
            yield Member(number=number, path=folder, kind=Kind.DIRECTORY).entry()
        offsets = array("Q")
        for found in self._walk():
            if not isinstance(found, tuple):
                yield found
                continue
            offset, path, item = found
            offsets.append(offset)
            yield from self._described(len(self._folders) + len(offsets), path, item)
        self._offsets = offsets

    def open_stream(self, address: StreamAddress) -> Ad1Stream:
        """The content of the item of that number.

        Raises:
            StreamReadError: there is none.
        """
        if self._offsets is None:
            self._offsets = array("Q", (found[0] for found in self._walk() if isinstance(found, tuple)))
        index = address.metadata_address - len(self._folders) - 1
        if not 0 <= index < len(self._offsets):
            message = f"there is no item {address.metadata_address} in the image"
            raise StreamReadError(message)
        try:
            item = self._image.item(self._offsets[index])
        except (Ad1Error, ImageReadError) as error:
            raise StreamReadError(str(error)) from error
        stated: dict[str, str] = {}
        metas, _ = self._metas(item)
        for kind, (name, length) in _DIGESTS.items():
            text = metas.get(kind, b"").rstrip(b"\0").decode("ascii", "replace").lower()
            if len(text) == length and _HEX.fullmatch(text):
                stated[name] = text
        return Ad1Stream(self._image, item, stated)

    def _walk(self) -> Iterator[tuple[int, bytes, Item] | Problem]:
        """Offset, path and item of everything, a folder before what is in it; each offset once, whatever the chains say."""
        seen: set[int] = set()
        waiting = [(self._image.first_item, self._above, 0)]
        while waiting:
            offset, above, depth = waiting.pop()
            if not offset:
                continue
            if offset in seen or depth > _DEEPEST or len(seen) >= MAXIMUM_MEMBERS:
                yield self._problem(above, "an item that was listed already, or too deep or too many to be listed, is chained here")
                continue
            seen.add(offset)
            try:
                item = self._image.item(offset)
            except (Ad1Error, ImageReadError) as error:
                yield self._problem(above, str(error))
                continue
            name = _path(item.name) if self._is_multi and not depth else item.name
            path = above + b"/" + name if above else name
            if len(path) > LONGEST_NAME:
                yield self._problem(above, f"the path of an item is {len(path)} bytes long, which no system has")
                waiting.append((item.next, above, depth))
                continue
            yield offset, path, item
            waiting += [(item.next, above, depth), (item.child, path, depth + 1)]

    def _described(self, number: int, path: bytes, item: Item) -> Iterator[Entry | Problem]:
        metas, damage = self._metas(item)
        kind = _KINDS.get(item.type, Kind.UNKNOWN)
        target = None
        if metas.get(_FILE_CLASS) == _REPARSE_POINT and kind is Kind.FILE:
            kind, target = Kind.LINK, self._target(item)
        has_content = item.size > 0 or kind is Kind.FILE
        member = Member(
            number=number,
            path=path,
            kind=kind,
            size=item.size if item.size < 1 << 63 and kind is not Kind.DIRECTORY else None,
            times=Times(
                created=_time(metas.get(_CREATED)),
                modified=_time(metas.get(_MODIFIED)),
                accessed=_time(metas.get(_ACCESSED)),
                metadata_changed=_time(metas.get(_MFT_CHANGED)),
            ),
            name_times=Times(
                created=_time(metas[_NAME_CREATED]),
                modified=_time(metas.get(_NAME_MODIFIED)),
                accessed=_time(metas.get(_NAME_ACCESSED)),
                metadata_changed=_time(metas.get(_NAME_CHANGED)),
            )
            if _NAME_CREATED in metas
            else None,
            link_target=target,
            has_content=has_content and kind is not Kind.DIRECTORY,
            deleted=item.type == DELETED,
        )
        yield member.entry()
        if damage:
            what = "some of what the image states of an item could not be read"
            yield member.problem("metadata-damaged", what, damage, "open the image with FTK Imager and compare")

    def _metas(self, item: Item) -> tuple[dict[int, bytes], str]:
        """The metadata of an item by their types, and why there may be more; "" if there are not."""
        metas: dict[int, bytes] = {}
        try:
            for kind, value in self._image.iter_metas(item):
                metas.setdefault(kind, value)
        except (Ad1Error, ImageReadError) as error:
            return metas, str(error)
        return metas, ""

    def _target(self, item: Item) -> bytes | None:
        """Where a reparse point leads; None if that cannot be read."""
        try:
            return parse_reparse_buffer(Ad1Stream(self._image, item, {}).read_at(0, _LONGEST_TARGET))
        except StreamReadError:
            return None  # the content is read again as any other, and becomes a problem there

    def _problem(self, above: bytes, why: str) -> Problem:
        where = escape_text(above.decode("utf-8", "backslashreplace")) or "the image's top"
        what = f"an item could not be listed, nor what follows it in {where}"
        return container_problem("listing-damaged", what, why, "open the image with FTK Imager and compare")


def _path(name: bytes) -> bytes:
    """A path with Windows' separators with ours."""
    return (name if b"/" in name else name.replace(b"\\", b"/")).rstrip(b"/")


def _time(value: bytes | None) -> int | OutOfRange | None:
    """Nanoseconds since 1970 of "YYYYMMDDThhmmss[.ffffff]", taken as UTC, as FTK Imager writes it."""
    if not value or not value.rstrip(b"\0"):
        return None
    found = _TIME.fullmatch(value)
    unknown = OutOfRange(f"AD1 time {escape_text(value.decode('ascii', 'backslashreplace'))[:60]}")
    if found is None:
        return unknown
    try:
        seconds = calendar.timegm(time.strptime(found[1].decode("ascii"), "%Y%m%dT%H%M%S"))
    except ValueError:
        return unknown
    return from_unix(seconds, int((found[2] or b"0").ljust(9, b"0")))
