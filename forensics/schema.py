"""Every output table: its columns with type, meaning and unit, and the order of its rows.

This is the only list of columns. The meaning and the unit stand in each field's metadata, which Parquet keeps, so a table
explains itself to whoever opens it. Artifact tables are made by their functions (forensics/artifacts/); all start with
ARTIFACT_FIELDS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from forensics.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TIME = pa.timestamp("ns", tz="UTC")
TEXT = pa.string()
TEXTS = pa.list_(pa.string())
TEXT_MAP = pa.map_(pa.string(), pa.string())
ARTIFACT_PREFIX = "artifact_"


def column(name: str, type_: pa.DataType, meaning: str, *, unit: str = "", required: bool = False) -> pa.Field:
    """A column with its meaning and unit in the metadata; `required` means that it is never null."""
    return pa.field(name, type_, nullable=not required, metadata={"meaning": meaning, "unit": unit})


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One output table: its name, what a row is, its columns, and the columns that order its rows."""

    name: str
    row: str
    fields: tuple[pa.Field, ...]
    order: tuple[str, ...]

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema, with the meaning of a row in its metadata."""
        return pa.schema(self.fields, metadata={"table": self.name, "row": self.row})


_EXHIBIT = column("exhibit", TEXT, "number of the exhibit, as the examiner gave it", required=True)
_VOLUME = column("volume", TEXT, "identifier of the volume in the table volumes; empty for the image as a whole", required=True)
_RECOVERY = (
    "how it came to light: allocated, deleted metadata, deleted name (its metadata is another file's now), orphan, slack, unallocated, "
    "in no file (in use, or not known to be free, and no listed file's), carved, archive member, shadow copy (allocated earlier)"
)
_ADDRESS = column("metadata_address", pa.int64(), "inode (ext, HFS+ catalogue number) or MFT entry, as TSK numbers it")
_STREAM = column("stream", TEXT, "name of the stream; empty for the default data", required=True)
_PATH = column("path", TEXT, "path inside the volume, '/' between names; what is not UTF-8 and control characters as \\xNN or \\uNNNN")
_ITEM = (_EXHIBIT, _VOLUME, _ADDRESS, _STREAM, _PATH)

SOURCES = Table(
    name="sources",
    row="one image of an exhibit: its files, its size, its digests as stated and as computed",
    order=("exhibit", "disk"),
    fields=(
        _EXHIBIT,
        column("disk", pa.int32(), "number of the image in its exhibit, from 1; most exhibits have one", required=True),
        column(
            "disk_start",
            pa.int64(),
            "where it begins in the exhibit's media, its images taken one after the other",
            unit="bytes",
            required=True,
        ),
        column("container", TEXT, "format of the image: raw, split raw, ewf, qcow2, …", required=True),
        column("segments", TEXTS, "names of the image's files, in order", required=True),
        column("segment_sizes", pa.list_(pa.int64()), "size of each file of the image", unit="bytes", required=True),
        column("media_size", pa.int64(), "size of the media that the image holds", unit="bytes", required=True),
        column("sector_size", pa.int64(), "size of a sector as the image states it, else 512", unit="bytes", required=True),
        column("md5", TEXT, "MD5 of the media, computed before the run"),
        column("sha1", TEXT, "SHA-1 of the media, computed before the run"),
        column("sha256", TEXT, "SHA-256 of the media, computed before the run"),
        column("stated_md5", TEXT, "MD5 that the image stores"),
        column("stated_sha1", TEXT, "SHA-1 that the image stores"),
        column("expected_hash", TEXT, "digest that the examiner expected, as typed"),
        column("digest_match", TEXT, "match, mismatch, or not stated: computed digests against stated and expected ones", required=True),
        column("mismatch_accepted", TEXT, "the examiner's reason for going on in spite of a mismatch; null where there was none"),
        column("damaged_chunks", pa.int64(), "chunks of the container whose checksum fails", required=True),
        column("header_values", TEXT_MAP, "what the image's header claims: acquisition date, examiner, tool, notes", required=True),
        column("unchanged_check", TEXT, "how the source was checked after the run: digests, or size and times", required=True),
        column("unchanged", pa.bool_(), "whether that check found the source unchanged", required=True),
    ),
)

VOLUMES = Table(
    name="volumes",
    row="one byte range of the image (a volume, or a gap outside every volume; together they tile it), or a volume derived from others",
    order=("exhibit", "tile", "volume"),
    fields=(
        _EXHIBIT,
        column(
            "tile", pa.int32(), "number of the byte range, in byte order; a derived volume has that of the one it lies in", required=True
        ),
        column(
            "volume", TEXT, "identifier: v01, v02, … for volumes, g01, … for gaps, v01.1, … for what is derived from v01", required=True
        ),
        column("kind", TEXT, "volume, gap, or derived volume (unlocked, assembled, a snapshot, one of several in a volume)", required=True),
        column(
            "scheme", TEXT, "none, dos, gpt, apm, bsd or sun: the partition table that names it; empty for a derived volume", required=True
        ),
        column("slot", TEXT, "number of the partition in its table, as mmls writes it; empty for a gap", required=True),
        column("disk", pa.int32(), "number of the image that holds it, from 1", required=True),
        column("start_byte", pa.int64(), "first byte, counted from the start of the media; null for a derived volume", unit="bytes"),
        column(
            "size_bytes",
            pa.int64(),
            "bytes of the image that it tiles; 0 for a derived volume, which lies in others",
            unit="bytes",
            required=True,
        ),
        column("volume_bytes", pa.int64(), "length of the volume itself", unit="bytes", required=True),
        column("type", TEXT, "partition type or label as the table states it; of a derived volume, what it is", required=True),
        column("parents", TEXTS, "volumes that it is derived from; empty for a byte range", required=True),
        column("name", TEXT, "name of a logical volume, array or snapshot"),
        column("created", TIME, "when a snapshot was taken"),
        column("filesystem", TEXT, "filesystem found: ntfs, fat12, fat32, exfat, ext4, hfs+, iso9660, xfs, …; null where none was"),
        column("filesystem_label", TEXT, "label of the filesystem"),
        column("block_size", pa.int64(), "cluster or block size of the filesystem", unit="bytes"),
        column("encrypted", pa.bool_(), "whether the volume is encrypted and was not unlocked", required=True),
        column("unlocked_with", TEXT, "kind of the credential that unlocked it; null where none was needed or none fits"),
        column(
            "reader", TEXT, "engine that read it: tsk, dissect, evidex, logical, raw (no filesystem, its bytes), or none", required=True
        ),
        column("status", TEXT, "read, raw (its bytes were read), unfolded (volumes derived from it are read), or not read", required=True),
        column("reason", TEXT, "why no filesystem was read in it; empty where one was", required=True),
    ),
)

ENTRIES = Table(
    name="entries",
    row=(
        "one stream of one filesystem entry: default data, named stream, slack; allocated, deleted and orphan; directories and links too; "
        "pieces of unallocated space, carved files, and files inside files"
    ),
    order=("exhibit", "volume", "metadata_address", "path", "stream", "attribute_type", "attribute_id", "recovery"),
    fields=(
        *_ITEM,
        column("path_bytes", pa.binary(), "path as the filesystem stores it; only where it differs from path"),
        column("attribute_type", pa.int32(), "TSK's attribute type of the stream, for `icat`: 128 is NTFS $DATA"),
        column("attribute_id", pa.int32(), "TSK's attribute identifier of the stream, for `icat`"),
        column("kind", TEXT, "file, directory, link, fifo, socket, character device, block device, virtual or unknown", required=True),
        column("link_target", TEXT, "where a symbolic link points"),
        column("name_allocated", pa.bool_(), "whether the name is allocated; null for an orphan, which has no name of its own"),
        column("metadata_allocated", pa.bool_(), "whether the metadata (inode, MFT entry) is; false for a deleted member of an archive"),
        column("recovery", TEXT, _RECOVERY, required=True),
        column("overwritten", pa.bool_(), "of what is deleted: whether blocks of it belong to something else now; null where not known"),
        column("address_chain", TEXTS, "of a file inside a file: the way to it from metadata_address, each step as `kind: address`"),
        column("unlocked_with", TEXT, "of a file inside a file: kind of the credential that decrypted it; null where none did"),
        column("original_path", TEXT, "of a file in a recycle bin: where it was deleted from, as the bin states it"),
        column("start_byte", pa.int64(), "of slack, unallocated space and carved files: first byte, in the volume", unit="bytes"),
        column("size", pa.int64(), "size of the stream as the filesystem states it", unit="bytes"),
        column("bytes_read", pa.int64(), "how much of it was read", unit="bytes"),
        column("md5", TEXT, "MD5 of the whole stream, or of what is left of a deleted one (bytes_read); else null"),
        column("sha1", TEXT, "SHA-1 of the whole stream, or of what is left of a deleted one (bytes_read); else null"),
        column("sha256", TEXT, "SHA-256 of the whole stream, or of what is left of a deleted one (bytes_read); else null"),
        column("mime_type", TEXT, "MIME type by content (libmagic)"),
        column("description", TEXT, "description by content (libmagic)"),
        column("extension_mismatch", pa.bool_(), "whether the name's extension contradicts the content; null where neither says enough"),
        column("entropy", pa.float64(), "Shannon entropy of the bytes read", unit="bits per byte, 0 to 8"),
        column("scan", TEXT, "YARA scan: complete, partial, skipped or failed; null for what has no content"),
        column("hits", pa.int32(), "YARA rules that match the stream; null unless the scan is complete or partial"),
        column("created", TIME, "creation time; NTFS: $STANDARD_INFORMATION"),
        column("modified", TIME, "time of the last change of the content; NTFS: $STANDARD_INFORMATION"),
        column("accessed", TIME, "time of the last access; NTFS: $STANDARD_INFORMATION"),
        column("metadata_changed", TIME, "time of the last change of the metadata; NTFS: $STANDARD_INFORMATION"),
        column("name_created", TIME, "NTFS $FILE_NAME: creation time"),
        column("name_modified", TIME, "NTFS $FILE_NAME: modification time"),
        column("name_accessed", TIME, "NTFS $FILE_NAME: access time"),
        column("name_metadata_changed", TIME, "NTFS $FILE_NAME: MFT change time"),
        column("tz_basis", TEXT, "UTC, or local, unknown zone where the filesystem stores wall-clock time (FAT, exFAT, ISO 9660)"),
        column("owner", pa.int64(), "user number of the owner"),
        column("group", pa.int64(), "group number"),
        column("mode", pa.int32(), "permission bits", unit="octal when shown"),
        column("links", pa.int32(), "link count"),
        column("sequence", pa.int64(), "NTFS sequence number of the MFT entry"),
    ),
)

HITS = Table(
    name="hits",
    row="one instance of one string of one YARA rule in one stream; one row without a string where the rule names none",
    order=("exhibit", "volume", "metadata_address", "path", "stream", "namespace", "rule", "offset", "string"),
    fields=(
        *_ITEM,
        column("sha256", TEXT, "SHA-256 of the stream"),
        column("rule", TEXT, "rule that matches", required=True),
        column("namespace", TEXT, "rule file, as a path inside its rule folder", required=True),
        column("tags", TEXTS, "tags of the rule", required=True),
        column("meta", TEXT_MAP, "meta values of the rule, as text", required=True),
        column("string", TEXT, "identifier of the string inside the rule"),
        column("offset", pa.int64(), "where the instance starts in the stream", unit="bytes"),
        column("volume_offset", pa.int64(), "the same in the volume, for slack, unallocated space and carved files", unit="bytes"),
        column("length", pa.int64(), "length of the instance", unit="bytes"),
        column("matched", pa.binary(), "the bytes that matched, the first 128 at the most"),
        column("instances", pa.int64(), "instances of this string in this stream, also those beyond the first 64 that have no row"),
    ),
)

PROBLEMS = Table(
    name="problems",
    row="one recorded failure on one item",
    order=("exhibit", "stage", "volume", "metadata_address", "path", "stream", "code", "start_byte", "what", "why"),
    fields=(
        _EXHIBIT,
        column("stage", TEXT, "where it arose: image, volumes, filesystem, content, yara, artifacts, report", required=True),
        column("code", TEXT, "short stable word for the kind", required=True),
        column("what", TEXT, "what could not be done", required=True),
        column("why", TEXT, "the cause, as the library or the format states it", required=True),
        column("advice", TEXT, "what to do next; empty where nothing can be done", required=True),
        *_ITEM[1:],
        column("start_byte", pa.int64(), "first byte concerned, in the image, volume or stream named", unit="bytes"),
        column("size_bytes", pa.int64(), "how many bytes are concerned", unit="bytes"),
    ),
)

COVERAGE = Table(
    name="coverage",
    row="one byte range of the image, or one derived volume, and what became of it; the sizes add up to the size of the image",
    order=("exhibit", "tile", "volume"),
    fields=(
        _EXHIBIT,
        column(
            "tile", pa.int32(), "number of the byte range, in byte order; a derived volume has that of the one it lies in", required=True
        ),
        _VOLUME,
        column("start_byte", pa.int64(), "first byte, counted from the start of the media; null for a derived volume", unit="bytes"),
        column("size_bytes", pa.int64(), "bytes of the image; 0 for a derived volume, which lies in others", unit="bytes", required=True),
        column("volume_bytes", pa.int64(), "length of the volume itself", unit="bytes", required=True),
        column("state", TEXT, "processed (contents were read), skipped or failed; of one that only holds others, theirs", required=True),
        column("reason", TEXT, "why it was skipped or failed, what was not read, what was read for want of a filesystem", required=True),
        column("streams", pa.int64(), "streams with content that were listed in it: the sum of the next three", required=True),
        column("streams_read", pa.int64(), "streams read whole", required=True),
        column("streams_skipped", pa.int64(), "streams not read, because the profile or a limit says so", required=True),
        column("streams_failed", pa.int64(), "streams that could not be read whole", required=True),
        column("stream_bytes", pa.int64(), "stated sizes of those streams: the sum of the next three", unit="bytes", required=True),
        column("bytes_read", pa.int64(), "how much of them was read", unit="bytes", required=True),
        column("bytes_skipped", pa.int64(), "how much was left out", unit="bytes", required=True),
        column("bytes_failed", pa.int64(), "how much could not be read", unit="bytes", required=True),
        column("unallocated_bytes", pa.int64(), "how much of it no file has; listed as items of its own", unit="bytes", required=True),
        column("streams_inside", pa.int64(), "members of containers in it and carved files, whose bytes count already", required=True),
        column("inside_read", pa.int64(), "of them, read whole", required=True),
        column("inside_skipped", pa.int64(), "of them, not read, because a limit says so", required=True),
        column("inside_failed", pa.int64(), "of them, not read whole, or not at all", required=True),
    ),
)

CARVED = Table(
    name="carved",
    row="one file found by its structure where no filesystem names it; its content has a row in entries under the same path",
    order=("exhibit", "volume", "start_byte", "path", "offset"),
    fields=(
        *_ITEM,
        column("found_in", TEXT, "path of the unallocated space or slack that holds it", required=True),
        column("offset", pa.int64(), "first byte, in found_in", unit="bytes", required=True),
        column("start_byte", pa.int64(), "first byte, in the volume; null where it does not lie in one place", unit="bytes"),
        column("length", pa.int64(), "length", unit="bytes", required=True),
        column("kind", TEXT, "jpeg, pdf, zip, sqlite, …", required=True),
        column("validated", pa.bool_(), "whether its structure was followed to a valid end", required=True),
        column("why", TEXT, "what ends it", required=True),
        column(
            "fragmented",
            pa.bool_(),
            "whether it runs over a seam between two pieces of free space, so that it may be two halves",
            required=True,
        ),
        column("sha256", TEXT, "SHA-256 of the carved bytes"),
    ),
)

CROSS_CHECK = Table(
    name="cross_check",
    row="one difference between what two engines say of one filesystem",
    order=("exhibit", "volume", "path", "what"),
    fields=(
        _EXHIBIT,
        _VOLUME,
        _PATH,
        column("what", TEXT, "missing in tsk, missing in dissect, kind differs, size differs, or content differs", required=True),
        column("tsk", TEXT, "what The Sleuth Kit says"),
        column("dissect", TEXT, "what dissect says"),
        column("known", TEXT, "a known defect of an engine that explains it; empty where there is none", required=True),
    ),
)

TIMELINE = Table(
    name="timeline",
    row="one time of one row of another table, so that all that happened can be read in order",
    order=("time", "table", "event", "volume", "metadata_address", "path", "stream", "description"),
    fields=(
        _EXHIBIT,
        column("time", TIME, "when", required=True),
        column("tz_basis", TEXT, "UTC, or local, unknown zone", required=True),
        column("table", TEXT, "table that the row came from", required=True),
        column("event", TEXT, "column that gave the time, e.g. modified", required=True),
        *_ITEM[1:],
        column("description", TEXT, "the row in a few words", required=True),
    ),
)

ARTIFACT_FIELDS: tuple[pa.Field, ...] = (
    _EXHIBIT,
    column("record_type", TEXT, "name of dissect's record descriptor", required=True),
    column("source_path", TEXT, "file of the evidence that the row was read from, where dissect says it"),
)

TABLES: tuple[Table, ...] = (SOURCES, VOLUMES, ENTRIES, HITS, CARVED, CROSS_CHECK, PROBLEMS, COVERAGE, TIMELINE)


def table(name: str) -> Table:
    """The table of that name.

    Raises:
        SchemaError: there is none; the message lists those there are.
    """
    for one in TABLES:
        if one.name == name:
            return one
    message = f"no table {name!r}; there are: {', '.join(t.name for t in TABLES)}, and {ARTIFACT_PREFIX}… made by artifact functions"
    raise SchemaError(message)


def check_rows(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> None:
    """Passes when each row has exactly the schema's keys and no null where none may be.

    `pa.Table.from_pylist` drops unknown keys and fills missing ones without a word; this does not.

    Raises:
        SchemaError: the first row that does not fit, and how.
    """
    names = set(schema.names)
    required = [f.name for f in schema if not f.nullable]
    for row in rows:
        if row.keys() != names:
            message = f"a row has keys {sorted(row.keys() ^ names)} too many or too few"
            raise SchemaError(message)
        for name in required:
            if row[name] is None:
                message = f"a row has null in {name!r}, where none may be"
                raise SchemaError(message)
