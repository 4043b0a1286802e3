"""Openers of the archives that libarchive reads: tar, cpio, ar, cab, lha, RPM, WARC, and compressions that Python lacks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from forensics.errors import ArchiveError, Problem
from forensics.expansion.base import Member
from forensics.expansion.guard import guarded
from forensics.expansion.libarchive import ArchiveEntry, ArchiveReader, as_stated_in_zone
from forensics.expansion.member_names import stored_path, without_suffix
from forensics.expansion.member_problems import damaged, encrypted_unsupported
from forensics.filesystems.base import Kind, Times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from forensics.credentials import Credential

_NOTHING_DECRYPTS = "no free library decrypts archives of this kind"


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """Opens one kind of archive.

    Attributes:
        name: the kind.
        formats, filters: libarchive's names of what may be inside.
        is_start: whether a file that begins with these bytes is of the kind.
        suffixes: for a kind that holds one content without a name, what the file's name ends with; otherwise none.
        skippable: whether a member can be passed over without decoding it.
        has_local_times: whether, by its first bytes, a file states times without a zone. libarchive takes them as of the machine's zone;
            here they are taken as UTC, so that they do not depend on it.
    """

    name: str
    formats: tuple[str, ...]
    is_start: Callable[[bytes], bool]
    filters: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    skippable: bool = False
    has_local_times: Callable[[bytes], bool] = lambda _head: False

    def recognises(self, head: bytes, mime_type: str, name: str) -> bool:  # noqa: ARG002 - the signature says it all
        """Whether a content is of this kind."""
        return self.is_start(head)

    def iter_members(
        self,
        file: BinaryIO,
        size: int,
        name: str,
        credentials: tuple[Credential, ...],  # noqa: ARG002 - libarchive decrypts none of these kinds
    ) -> Iterator[Member | Problem]:
        """The members as they stand; a Problem where the archive is damaged, which ends it."""
        file.seek(0)
        local = self.has_local_times(file.read(_HEAD_BYTES))
        as_stored = as_stated_in_zone if local else _unchanged
        reader = ArchiveReader(file, size, self.formats, self.filters)
        number = 0
        try:
            while (entry := reader.next_entry()) is not None:
                number += 1
                yield replace(self._member(reader, entry, number, name), times=as_stored(entry.times), has_local_times=local)
        except ArchiveError as error:
            if not number:
                raise
            yield damaged(f"{name}: nothing behind entry {number} could be read", str(error))
        finally:
            odd, first = reader.odd_headers, reader.first_odd
            reader.close()
        if odd:
            yield damaged(f"{name}: {odd} headers are damaged; their members were passed over, or are not told whole", first)

    def _member(self, reader: ArchiveReader, entry: ArchiveEntry, number: int, name: str) -> Member:
        has_content = entry.kind is Kind.FILE and not entry.is_encrypted
        return Member(
            path=without_suffix(name, self.suffixes) if self.suffixes else stored_path(entry.path),
            kind=entry.kind,
            address="content" if self.suffixes else f"entry {number}",
            size=entry.size,
            times=entry.times,
            blocks=guarded(reader.blocks(), f"{name}: entry {number}") if has_content else None,
            problem=encrypted_unsupported(f"{name}: entry {number}", _NOTHING_DECRYPTS) if entry.is_encrypted else None,
            link_target=entry.link_target,
            skippable=self.skippable,
        )


def _unchanged(times: Times) -> Times:
    return times


def _begins(*signatures: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(signatures)


def _is_tar(head: bytes) -> bool:
    if len(head) < _TAR_BLOCK:
        return False
    if head[257:262] == b"ustar":  # POSIX.1-2017, pax, table 4-14; GNU's has two spaces instead of the version
        return True
    # Unix V7 tar has no signature: the header's checksum is right, that is, the sum of its bytes with the checksum's own as spaces.
    stated = head[148:156].strip(b" \0")
    if not stated or not stated.isdigit() or b"8" in stated or b"9" in stated or not head[0]:
        return False
    return int(stated, 8) == sum(head[:148]) + 8 * 0x20 + sum(head[156:_TAR_BLOCK])


def _is_lha(head: bytes) -> bool:
    # The method, e.g. "-lh5-", stands at byte 2; byte 20 is the header's level.
    return head[2:5] in (b"-lh", b"-lz") and head[6:7] == b"-" and len(head) > 20 and head[20] < 4  # noqa: PLR2004


def _is_old_cpio(head: bytes) -> bool:
    # Binary cpio has two bytes of signature only, so the length of its first name must fit as well.
    if len(head) < _OLD_CPIO_HEADER or head[:2] not in (b"\xc7\x71", b"\x71\xc7"):
        return False
    length = int.from_bytes(head[20:22], "little" if head[0] == 0xC7 else "big")  # noqa: PLR2004
    return 1 < length <= 4096 and head[25 + length : 26 + length] == b"\0"  # noqa: PLR2004


def _is_compress(head: bytes) -> bool:
    # Two bytes of signature only; so the third must state codes of 9 to 16 bits and set no reserved bit, and the first code, of nine bits,
    # must be a byte (ncompress, compress.c).
    if head[:2] != b"\x1f\x9d" or len(head) < _COMPRESS_HEADER:
        return False
    return not head[2] & 0x60 and 9 <= head[2] & 0x1F <= 16 and not (head[4:5] or b"\0")[0] & 1  # noqa: PLR2004


_TAR_BLOCK = 512
_HEAD_BYTES = 64
_OLD_CPIO_HEADER = 26
_COMPRESS_HEADER = 3

TAR = Archive(name="tar", formats=("tar",), is_start=_is_tar, skippable=True)
CPIO = Archive(
    name="cpio",
    formats=("cpio",),
    is_start=lambda head: head.startswith((b"070701", b"070702", b"070707")) or _is_old_cpio(head),
    skippable=True,
)
AR = Archive(name="ar", formats=("ar",), is_start=_begins(b"!<arch>\n"), skippable=True)
CAB = Archive(name="cab", formats=("cab",), is_start=_begins(b"MSCF\0\0\0\0"), has_local_times=_begins(b"MSCF"))
LHA = Archive(name="lha", formats=("lha",), is_start=_is_lha, has_local_times=lambda head: head[20:21] in (b"\0", b"\1"))
WARC = Archive(name="warc", formats=("warc",), is_start=_begins(b"WARC/"), skippable=True)
RPM = Archive(name="rpm", formats=("cpio",), filters=("rpm", "gzip", "xz", "lzma", "zstd"), is_start=_begins(b"\xed\xab\xee\xdb"))
LZ4 = Archive(
    name="lz4",
    formats=("raw",),
    filters=("lz4",),
    is_start=_begins(b"\x04\x22\x4d\x18", b"\x02\x21\x4c\x18"),
    suffixes=(".lz4",),
)
LZIP = Archive(name="lzip", formats=("raw",), filters=("lzip",), is_start=_begins(b"LZIP\x01"), suffixes=(".lz", ".tlz=.tar"))
COMPRESS = Archive(name="compress", formats=("raw",), filters=("compress",), is_start=_is_compress, suffixes=(".z", ".taz=.tar"))
