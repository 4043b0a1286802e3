"""Every way in which reading evidence fails, and the recorded form of a failure.

ForensicsError                 base; fatal to the exhibit unless a subclass says otherwise
    ImageError                 the exhibit's files do not give an image
        ImageNotFoundError     no such file
        SegmentMissingError    a segment of the set is not there
        UnsupportedImageError  the container is known by its signature, and we do not read it
    ImageReadError             a byte range of the image cannot be read; belongs to one item
    CredentialError            the credentials file cannot be used; its message never quotes a secret
    ArchiveError               an archive or container inside a file cannot be opened; belongs to one item
    VolumeError                a partition table cannot be read; belongs to one volume
    FilesystemError            a filesystem cannot be opened; belongs to one volume
    StreamReadError            a stream cannot be read; belongs to one item
    RuleError                  no usable YARA rule
    ScanError                  YARA could not scan a content to its end; belongs to one item
        ScanTimeoutError       the scan took longer than its limit; belongs to one item
    SchemaError                a row does not fit its table: a defect of ours, always fatal

What belongs to an item becomes a Problem: a row in the table `problems`, never only a log line.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ForensicsError(Exception):
    """Evidence could not be read as asked. The message says what, where, why and what to do next."""


class ImageError(ForensicsError):
    """The exhibit's files do not give an image. Fatal to the exhibit."""


class ImageNotFoundError(ImageError):
    """There is no such file. Fatal to the exhibit."""


class SegmentMissingError(ImageError):
    """A segment of the image is missing, or a file that it needs, so the media is not whole. Fatal to the exhibit.

    Attributes:
        role: what the missing file is to it: "parent", "extent", …; "" for a segment.
        stated: the name that the image states for it, with its folders, escaped; "" for a segment.
        wanted: the names, without folders, that it may have; none for a segment, or where it is known by an identifier alone.
    """

    def __init__(self, message: str, *, role: str = "", stated: str = "", wanted: tuple[str, ...] = ()) -> None:
        """`message` says what, where and what to do next."""
        super().__init__(message)
        self.role, self.stated, self.wanted = role, stated, wanted


class UnsupportedImageError(ImageError):
    """The container is recognised and not supported. Fatal to the exhibit."""


class ImageReadError(ForensicsError):
    """A byte range of the image cannot be read. Belongs to the item that needed it."""


class CredentialError(ForensicsError):
    """The credentials file cannot be used. Fatal, because unlocking was asked for; the message never quotes a secret."""


class ArchiveError(ForensicsError):
    """A file that holds other files cannot be opened. Belongs to the file."""


class VolumeError(ForensicsError):
    """A partition table cannot be read. Belongs to the volume or to the image's layout."""


class FilesystemError(ForensicsError):
    """A filesystem cannot be opened. Belongs to the volume."""


class StreamReadError(ForensicsError):
    """A stream cannot be read. Belongs to the stream."""


class RuleError(ForensicsError):
    """No usable YARA rule is left. Fatal to the run, because a scan was asked for."""


class ScanError(ForensicsError):
    """YARA could not scan a content to its end, so nothing is known of its hits. Belongs to the item."""


class ScanTimeoutError(ScanError):
    """The scan took longer than its limit, so nothing is known of the hits. Belongs to the item."""


class SchemaError(ForensicsError):
    """A row does not fit its table. A defect of Evidex, never of the evidence; always fatal."""


class Stage(StrEnum):
    """Where in the work a problem arose."""

    IMAGE = "image"
    VOLUMES = "volumes"
    FILESYSTEM = "filesystem"
    CONTENT = "content"
    YARA = "yara"
    ARTIFACTS = "artifacts"
    REPORT = "report"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One recorded failure on one item: a row of the table `problems`.

    Attributes:
        stage: where it arose.
        code: a short stable word for the kind, e.g. "chunk-checksum"; lower case, hyphens.
        what: what could not be done, one sentence in the examiner's words.
        why: the cause, as the library or the format states it.
        advice: what to do next, or "" where nothing can be done.
        volume: volume identifier, e.g. "v01"; "" when it concerns the image or the run.
        metadata_address: inode or MFT entry; None when it concerns no entry.
        stream: stream name; "" for the default data.
        path: path inside the volume, or name of the rule file, segment or function concerned; "" if none.
        start_byte: first byte concerned, counted in what `volume` and `path` name; None if unknown.
        size_bytes: how many bytes are concerned; None if unknown.
    """

    stage: Stage
    code: str
    what: str
    why: str
    advice: str = ""
    volume: str = ""
    metadata_address: int | None = None
    stream: str = ""
    path: str = ""
    start_byte: int | None = None
    size_bytes: int | None = None
