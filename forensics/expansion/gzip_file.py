"""Opener of gzip files (RFC 1952): their content as one member, with the name and time that the first header states."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from forensics.errors import ArchiveError
from forensics.expansion.base import Member
from forensics.expansion.decoding import Inflater, Streams
from forensics.expansion.guard import guarded
from forensics.expansion.member_names import stored_path, without_suffix
from forensics.expansion.member_problems import trailing
from forensics.filesystems.base import Kind, Times
from forensics.timestamps import from_unix

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from forensics.credentials import Credential
    from forensics.errors import Problem

_HEADER_BYTES = 10
_FEXTRA, _FNAME = 4, 8  # RFC 1952, 2.3.1
_LONGEST_NAME = 4096
_SUFFIXES = (".gz", ".tgz=.tar", ".svgz=.svg", ".emz=.emf", ".wmz=.wmf", ".z")


class Gzip:
    """Opens gzip files. Several members one behind the other are one content (RFC 1952, 2.2)."""

    name = "gzip"

    def recognises(self, head: bytes, mime_type: str, name: str) -> bool:  # noqa: ARG002 - the signature says it all
        """Whether a content is of this kind."""
        return _is_gzip(head)

    def iter_members(
        self,
        file: BinaryIO,
        size: int,
        name: str,
        credentials: tuple[Credential, ...],  # noqa: ARG002 - the format knows no encryption
    ) -> Iterator[Member | Problem]:
        """The one member; a Problem where bytes that are not gzip follow."""
        file.seek(0)
        head = file.read(_HEADER_BYTES + 0xFFFF + 2 + _LONGEST_NAME)
        if not _is_gzip(head) or len(head) < _HEADER_BYTES:
            message = f"{name}: is not gzip"
            raise ArchiveError(message)
        stated = _stated_name(head)
        streams = Streams(file, size, lambda: Inflater(16 + zlib.MAX_WBITS), _is_gzip)
        yield Member(
            path=stored_path(stated) if stated else without_suffix(name, _SUFFIXES),
            kind=Kind.FILE,
            address="content",
            size=None,  # the trailer's size is modulo 2^32, and of the last member only
            times=Times(modified=from_unix(int.from_bytes(head[4:8], "little"), 0)),
            blocks=guarded(streams.blocks(), name),
        )
        if streams.end is not None and streams.end < size:
            yield trailing(name, streams.end, size - streams.end)


def _is_gzip(head: bytes) -> bool:
    return head[:3] == b"\x1f\x8b\x08" and head[3:4] < b"\x20"  # 2.3.1: Deflate is the only method, three flag bits are reserved


def _stated_name(head: bytes) -> bytes:
    """The original file name as it is stored, in ISO 8859-1 by the rule and in anything in practice; empty if there is none."""
    if not head[3] & _FNAME:
        return b""
    start = _HEADER_BYTES
    if head[3] & _FEXTRA:
        start += 2 + int.from_bytes(head[start : start + 2], "little")
    raw, end, _ = head[start : start + _LONGEST_NAME].partition(b"\0")
    return raw if end else b""
