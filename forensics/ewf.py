"""An E01 or S01 image of any number of segments as one media, its integrity checked by us.

dissect and libewf give data back from damaged chunks, and open a set whose last segment is missing as a smaller disk. So the
chain is read here: segments contiguous and of one set, sections and tables with their checksums, every chunk's Adler-32 on
every read, and the tables must cover the media that the image states.

What is fatal: a missing segment, a foreign one, a damaged or absent statement of the media's size, tables that do not cover it.
What is a problem: a chain that is cut off behind the last table (then the stored digests may be gone), a file behind the last segment.
"""

from __future__ import annotations

from bisect import bisect_right
from threading import Lock
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from forensics.block_cache import BlockCache
from forensics.errors import ImageError, ImageReadError, Problem, SegmentMissingError, Stage
from forensics.ewf_chunks import Chunk, find_tables, load_places, read_chunks
from forensics.ewf_sections import read_chain
from forensics.ewf_values import read_acquisition_errors, read_header_values, read_stated, read_volume
from forensics.exhibit import Container, StatedDigests, shown
from forensics.media import BLOCK_BYTES, Damage, Media, MediaBlock, read_ahead
from forensics.segment_sets import next_ewf_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from forensics.ewf_chunks import ChunkTable
    from forensics.ewf_sections import SegmentChain
    from forensics.ewf_values import EwfVolume
    from forensics.exhibit import SourceFile

_TABLES_KEPT = 32
_WORKERS = 2
_REACQUIRE = "Use another copy of the image, or acquire the media again."


class _Table(Protocol):
    """Some consecutive chunks: how many, and which is the first."""

    @property
    def first(self) -> int: ...
    @property
    def count(self) -> int: ...


_T = TypeVar("_T", bound=_Table)
_P = TypeVar("_P")


class EwfReader(Generic[_T, _P]):
    """The media of an EWF image of either version. Threads may share it."""

    def __init__(
        self,
        volume: EwfVolume,
        tables: Sequence[_T],
        *,
        load: Callable[[_T], _P],
        read: Callable[[_T, _P, int, int, Sequence[int]], list[Chunk]],
    ) -> None:
        """`load` gives a table's places; `read` the table's chunks from one number to another, of the sizes expected."""
        self._volume = volume
        self._tables = tuple(tables)
        self._load_places = load
        self._read_chunks = read
        self._firsts = [table.first for table in tables]
        self._places: dict[int, _P] = {}
        self._lock = Lock()
        self._cache = BlockCache()

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes `media[offset : offset + length]`.

        Raises:
            ImageReadError: a chunk that holds some of them is damaged; the message names its sectors.
        """
        size = self._volume.chunk_size
        first, last = offset // size, (offset + length - 1) // size
        skip = offset - first * size
        if first == last:
            return self._chunk(first)[skip : skip + length]
        return b"".join(self._chunk(index) for index in range(first, last + 1))[skip : skip + length]

    def iter_blocks(self) -> Iterator[MediaBlock]:
        """All bytes in order. A chunk that fails its checksum is as stored if it is plain, zeros if it cannot be inflated."""
        return read_ahead(self._block_tasks(), workers=_WORKERS)

    def _chunk(self, index: int) -> bytes:
        kept = self._cache.get(index)
        if kept is not None:
            return kept
        chunk = self._read(index, index + 1)[0]
        if chunk.fault:
            volume = self._volume
            start = index * volume.sectors_per_chunk
            end = min(start + volume.sectors_per_chunk, volume.sector_count) - 1
            message = f"sectors {start} to {end} are damaged: chunk {index} {chunk.fault}"
            raise ImageReadError(message)
        data = bytes(chunk.data)
        self._cache.put(index, data)
        return data

    def _read(self, start: int, stop: int) -> list[Chunk]:
        """The chunks from `start` to `stop`, exclusive; all of one table."""
        at = bisect_right(self._firsts, start) - 1
        table = self._tables[at]
        try:
            sizes = [self._size(index) for index in range(start, stop)]
            return self._read_chunks(table, self._load(at), start - table.first, stop - table.first, sizes)
        except ImageReadError as error:
            return [Chunk(b"", f"cannot be read ({error})")] * (stop - start)

    def _load(self, at: int) -> _P:
        with self._lock:
            places = self._places.pop(at, None) or self._load_places(self._tables[at])
            self._places[at] = places
            if len(self._places) > _TABLES_KEPT:
                del self._places[next(iter(self._places))]
            return places

    def _size(self, index: int) -> int:
        return min(self._volume.chunk_size, self._volume.size - index * self._volume.chunk_size)

    def _block_tasks(self) -> Iterator[Callable[[], MediaBlock]]:
        count = max(1, BLOCK_BYTES // self._volume.chunk_size)
        total = -(-self._volume.size // self._volume.chunk_size)
        for table in self._tables:
            end = min(table.first + table.count, total)
            for start in range(table.first, end, count):
                yield self._block_task(start, min(start + count, end))

    def _block_task(self, start: int, stop: int) -> Callable[[], MediaBlock]:
        def task() -> MediaBlock:
            chunks = self._read(start, stop)
            data = b"".join(_filled(chunk.data, self._size(start + i)) for i, chunk in enumerate(chunks))
            return MediaBlock(data, tuple(self._damage(start + i, chunk.fault) for i, chunk in enumerate(chunks) if chunk.fault))

        return task

    def _damage(self, index: int, why: str) -> Damage:
        start = index * self._volume.chunk_size
        return Damage(start_byte=start, size_bytes=self._size(index), code="chunk-checksum", why=why, chunks=1)


def _filled(data: bytes | memoryview, size: int) -> bytes | memoryview:
    return data if len(data) == size else bytes(data).ljust(size, b"\0")


def open_ewf(files: Sequence[SourceFile]) -> Media:
    """The media of an EWF image whose segments are `files`, in order.

    Raises:
        SegmentMissingError: the set ends before its last segment.
        ImageError: it is damaged so that the media is not whole, or segments do not belong together.
    """
    chains = [read_chain(file) for file in files]
    used, problems = _check_set(files, chains)
    for ignored in files[used:]:
        ignored.release()
    files, chains = files[:used], chains[:used]
    volume = _volume(files[0], chains[0])
    problems += _check_same_set(files, chains, volume)
    tables: list[ChunkTable] = []
    for file, chain in zip(files, chains, strict=True):
        try:
            tables += find_tables(file, chain, tables[-1].first + tables[-1].count if tables else 0)
        except ImageReadError as error:
            message = f"{error}; {_REACQUIRE}"
            raise ImageError(message) from error
    tables = [table for table in tables if table.count]
    problems += _check_cover(files[-1], chains[-1], volume, sum(table.count for table in tables))
    stated = [read_stated(file, chain) for file, chain in zip(files, chains, strict=True)]
    for file, chain in zip(files, chains, strict=True):
        problems += read_acquisition_errors(file, chain, volume.sector_size)
    return Media(
        container=Container.EWF,
        size=volume.size,
        sector_size=volume.sector_size,
        files=tuple(files),
        reader=EwfReader(volume, tables, load=load_places, read=read_chunks),
        stated=StatedDigests(md5=_last(one.md5 for one in stated), sha1=_last(one.sha1 for one in stated)),
        header_values=read_header_values(files[0], chains[0]),
        problems=tuple(problems),
    )


def _last(values: Iterator[str | None]) -> str | None:
    return next((value for value in reversed(list(values)) if value), None)


def _check_set(files: Sequence[SourceFile], chains: Sequence[SegmentChain]) -> tuple[int, list[Problem]]:
    """How many of the files are the set: numbers contiguous, none cut off but the last, closed by done."""
    for at, (file, chain) in enumerate(zip(files, chains, strict=True), start=1):
        if chain.number != at:
            message = (
                f"{shown(file.path)}: says that it is segment {chain.number} and stands in the place of segment {at}; a segment is missing"
            )
            raise SegmentMissingError(message)
        if chain.ending == "done":
            return at, _behind_the_last(files[at:])
        if chain.fault and at < len(files):
            message = f"{shown(file.path)}: is damaged: {chain.fault}"
            raise ImageError(message)
    if chains[-1].ending == "next":
        following = next_ewf_name(files[0].path, len(files) + 1)
        name = following or "name unknown, as this one does not follow the numbering .E01, .E02, …"
        message = f"{shown(files[-1].path)}: segment {len(files) + 1} ({name}) is missing; put all segments into one folder"
        raise SegmentMissingError(message)
    return len(files), []


def _behind_the_last(files: Sequence[SourceFile]) -> list[Problem]:
    return [
        Problem(
            stage=Stage.IMAGE,
            code="segment-ignored",
            what=f"{file.name} lies behind the segment that ends the image; it is not part of it and was not read.",
            why="the segment before it ends in a section 'done'",
            advice="Check whether it belongs to another image.",
            path=file.name,
        )
        for file in files
    ]


def _volume(file: SourceFile, chain: SegmentChain) -> EwfVolume:
    sections = chain.all_of("volume", "disk")
    if not sections:
        message = f"{shown(file.path)}: has no section that states the media's size" + (f": {chain.fault}" if chain.fault else "")
        raise ImageError(message)
    return read_volume(file, sections[0])


def _check_same_set(files: Sequence[SourceFile], chains: Sequence[SegmentChain], volume: EwfVolume) -> list[Problem]:
    """Each section data repeats the volume; its set identifier tells a segment of another image."""
    problems = []
    for file, chain in zip(files, chains, strict=True):
        for section in chain.all_of("data"):
            try:
                other = read_volume(file, section).set_identifier
            except ImageError as error:
                if chain.fault and section is chain.sections[-1]:
                    continue  # the chain's own fault, which says that it is cut off there
                problems.append(
                    Problem(
                        stage=Stage.IMAGE,
                        code="ewf-section-checksum",
                        what=f"A section of {file.name} that repeats the media's size is damaged; the one that counts is intact.",
                        why=str(error),
                        path=file.name,
                    )
                )
                continue
            if other != volume.set_identifier and any(other) and any(volume.set_identifier):
                message = f"{shown(file.path)}: belongs to another image: its set identifier differs from that of {files[0].name}"
                raise ImageError(message)
    return problems


def _check_cover(last: SourceFile, chain: SegmentChain, volume: EwfVolume, chunks: int) -> list[Problem]:
    """The tables must list every chunk of the media; a chain that is cut off after that costs only what stands behind."""
    needed = -(-volume.sector_count // volume.sectors_per_chunk)
    if chunks < needed:
        why = chain.fault or "the tables end early"
        message = f"{shown(last.path)}: incomplete EWF image: {chunks} of {needed} chunks are there; {why}. {_REACQUIRE}"
        raise ImageError(message)
    problems = []
    if chain.fault or chain.ending != "done":
        problems.append(
            Problem(
                stage=Stage.IMAGE,
                code="ewf-incomplete",
                what="The image has no end: all chunks of the media are there, but what follows is cut off, stored digests included.",
                why=f"{last.name}: {chain.fault or 'no section done'}",
                advice="Compare the computed digests with the acquisition notes; use another copy of the image if there is one.",
                path=last.name,
            )
        )
    if chunks > needed:
        problems.append(
            Problem(
                stage=Stage.IMAGE,
                code="ewf-too-many-chunks",
                what="The image holds more chunks than its stated size needs; those beyond it were not read.",
                why=f"{chunks} chunks are listed, {needed} hold the {volume.sector_count} sectors stated",
                advice="Open the image with the tool that made it and compare the media's size.",
            )
        )
    return problems
