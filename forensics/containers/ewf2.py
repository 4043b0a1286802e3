"""An Ex01 image of any number of segments as one media, its integrity checked by us.

libewf gives zeros for a damaged chunk without an error, and its Python binding says nothing of them. So the sections are read here:
segments contiguous and of one set, descriptors and tables with their checksums, every chunk's checksum on every read, and the tables
must cover the media that the image states.

References: Expert Witness Compression Format 2 specification (libewf documentation).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.containers.ewf2_chunks import find_sector_tables, load_entries, read_entry_chunks
from forensics.containers.ewf2_sections import read_segment
from forensics.containers.ewf2_values import header_values, read_acquisition_errors, read_attributes, read_stated, volume_of
from forensics.errors import ImageError, Problem, SegmentMissingError, Stage
from forensics.ewf import EwfReader
from forensics.exhibit import Container, shown
from forensics.media import Media
from forensics.segment_sets import next_ewf2_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forensics.containers.ewf2_chunks import SectorTable
    from forensics.containers.ewf2_sections import Segment2
    from forensics.ewf_values import EwfVolume
    from forensics.exhibit import SourceFile


def open_ewf2(files: Sequence[SourceFile]) -> Media:
    """The media of an EWF 2 image whose segments are `files`, in order.

    Raises:
        SegmentMissingError: the set ends before its last segment, or one is not in its place.
        UnsupportedImageError: it is encrypted.
        ImageError: it is damaged so that the media is not whole, or segments do not belong together.
    """
    segments, problems = _set_of(files)
    files = [segment.file for segment in segments]
    values = read_attributes(segments[0])
    volume = volume_of(segments[0], values)
    tables = [table for segment in segments for table in find_sector_tables(segment) if table.count]
    problems += _check_cover(segments[-1], volume, tables)
    stated, damaged = read_stated(segments)
    problems += damaged
    for segment in segments:
        problems += read_acquisition_errors(segment, volume.sector_size)
    return Media(
        container=Container.EWF2,
        size=volume.size,
        sector_size=volume.sector_size,
        files=tuple(files),
        reader=EwfReader(volume, tables, load=load_entries, read=read_entry_chunks),
        stated=stated,
        header_values=header_values(values),
        problems=tuple(problems),
    )


def _set_of(files: Sequence[SourceFile]) -> tuple[list[Segment2], list[Problem]]:
    """The segments up to the one that ends the set: numbers contiguous, one identifier."""
    segments: list[Segment2] = []
    for at, file in enumerate(files, start=1):
        segment = read_segment(file)
        if segment.number != at:
            message = f"{shown(file.path)}: is segment {segment.number} by its header and lies in the place of segment {at}; one is missing"
            raise SegmentMissingError(message)
        if segment.set_identifier != (segments or [segment])[0].set_identifier:
            message = f"{shown(file.path)}: belongs to another image: its set identifier differs from that of {files[0].name}"
            raise ImageError(message)
        segments.append(segment)
        if segment.is_last:
            for ignored in files[at:]:
                ignored.release()
            return segments, [_ignored(ignored) for ignored in files[at:]]
    following = next_ewf2_name(files[0].path, len(files) + 1) or "name unknown, as this one does not follow the numbering .Ex01, .Ex02, …"
    message = f"{shown(files[-1].path)}: segment {len(files) + 1} ({following}) is missing; put all segments into one folder"
    raise SegmentMissingError(message)


def _check_cover(last: Segment2, volume: EwfVolume, tables: Sequence[SectorTable]) -> list[Problem]:
    """The tables must list every chunk of the media, in order."""
    covered = 0
    for table in tables:
        if table.first != covered:
            message = f"{shown(table.segment.file.path)}: a sector table begins with chunk {table.first} where chunk {covered} is expected"
            raise ImageError(message)
        covered += table.count
    if covered < volume.chunk_count:
        message = (
            f"{shown(last.file.path)}: incomplete EWF 2 image: {covered} of {volume.chunk_count} chunks are there. "
            "Use another copy of the image, or acquire the media again."
        )
        raise ImageError(message)
    if covered == volume.chunk_count:
        return []
    return [
        Problem(
            stage=Stage.IMAGE,
            code="ewf-too-many-chunks",
            what="The image holds more chunks than its stated size needs; those beyond it were not read.",
            why=f"{covered} chunks are listed, {volume.chunk_count} hold the {volume.sector_count} sectors stated",
            advice="Open the image with the tool that made it and compare the media's size.",
        )
    ]


def _ignored(file: SourceFile) -> Problem:
    return Problem(
        stage=Stage.IMAGE,
        code="segment-ignored",
        what=f"{file.name} lies behind the segment that ends the image; it is not part of it and was not read.",
        why="the segment before it ends in a section 'done'",
        advice="Check whether it belongs to another image.",
        path=file.name,
    )
