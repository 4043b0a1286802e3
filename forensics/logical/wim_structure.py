"""The structures of a WIM: header, table of contents by their SHA-1, and the entries of each image.

References: Microsoft, "Windows Imaging File Format (WIM)", 2007; wimlib, `header.h`, `dentry.c` (field layouts as documented there).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.errors import FilesystemError, StreamReadError
from forensics.logical.wim_resource import METADATA, Method, Resource, ResourceStream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.source import ByteSource

_HEADER = struct.Struct("<8s4I16sHHI24s")
_RESOURCE = struct.Struct("<8sQQ")
_CONTENT = struct.Struct("<24sHI20s")
_ENTRY = struct.Struct("<QIIQ16x3Q20s4xI4xHHH")
_STREAM = struct.Struct("<Q8x20sH")
_VERSION, _SOLID_VERSION = 0x00010D00, 0x00000E00
_COMPRESSED, _LZMS = 0x00000002, 0x00080000
_LARGEST_CHUNK = 2 << 20
_SMALLEST_CHUNK = 512
_MAX_TABLE_BYTES, _MAX_METADATA_BYTES = 100 << 20, 256 << 20
_DIRECTORY, _REPARSE_POINT = 0x10, 0x400
NO_DIGEST = bytes(20)


class WimError(ValueError):
    """A structure cannot be read; the message says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WimEntry:
    """One entry of an image.

    Attributes:
        name: in UTF-8.
        inside: where in the metadata the entries inside it stand; 0 if there are none.
        created, accessed, written: FILETIMEs.
        attributes: of Windows.
        reparse_tag: what kind of reparse point it is; 0 for others.
        streams: SHA-1 of each, by name: "" the default data; all zeros where it is empty.
        reparse: SHA-1 of the data of a reparse point; None for others.
    """

    name: bytes
    inside: int
    created: int
    accessed: int
    written: int
    attributes: int
    reparse_tag: int
    streams: tuple[tuple[str, bytes], ...]
    reparse: bytes | None

    @property
    def is_directory(self) -> bool:
        """Whether it is a folder, and not a link to one."""
        return self.attributes & (_DIRECTORY | _REPARSE_POINT) == _DIRECTORY


class Wim:
    """A WIM in one file.

    Attributes:
        contents: where the content with each SHA-1 lies.
        images: the metadata of each image, in order.
    """

    def __init__(self, source: ByteSource) -> None:
        """Opens it.

        Raises:
            FilesystemError: it is damaged, or of a variant that is not read (a part of a set, LZMS, solid).
        """
        self._source = source
        raw = source.read_at(0, _HEADER.size)
        if len(raw) < _HEADER.size:
            message = f"the WIM ends in its header, after {len(raw)} bytes"
            raise FilesystemError(message)
        _, _, version, flags, chunk, _, part, parts, _, table = _HEADER.unpack(raw)
        if version == _SOLID_VERSION or flags & _LZMS:
            message = "the WIM is solid or compressed with LZMS (an ESD), which is not read; export it with wimlib-imagex --compress=LZX"
            raise FilesystemError(message)
        if version != _VERSION:
            message = f"the WIM is of version {version:#x}, and {_VERSION:#x} is read"
            raise FilesystemError(message)
        if parts > 1:
            message = f"the WIM is part {part} of {parts}; join them with wimlib-imagex join and give the whole"
            raise FilesystemError(message)
        self._method = _method(flags)
        self._chunk = chunk or _SMALLEST_CHUNK
        if self._method is not Method.NONE and (not _SMALLEST_CHUNK <= chunk <= _LARGEST_CHUNK or chunk & (chunk - 1)):
            message = f"the WIM states chunks of {chunk} bytes, which cannot be"
            raise FilesystemError(message)
        self.contents: dict[bytes, Resource] = {}
        self.images: list[Resource] = []
        data = self._whole(_resource(table), _MAX_TABLE_BYTES)
        for one, _, _, digest in _CONTENT.iter_unpack(data[: len(data) // _CONTENT.size * _CONTENT.size]):
            resource = _resource(one)
            if resource.flags & METADATA:
                self.images.append(resource)
            else:
                self.contents[digest] = resource

    def open(self, resource: Resource, stated: dict[str, str]) -> ResourceStream:
        """The content of a resource.

        Raises:
            StreamReadError: it cannot be opened.
        """
        return ResourceStream(self._source, resource, self._method, self._chunk, stated)

    def metadata(self, image: Resource) -> bytes:
        """The metadata of an image.

        Raises:
            FilesystemError: they cannot be read.
        """
        return self._whole(image, _MAX_METADATA_BYTES)

    def _whole(self, resource: Resource, most: int) -> bytes:
        if resource.size > most:
            message = f"a table of the WIM states {resource.size} bytes, and up to {most} are read"
            raise FilesystemError(message)
        try:
            return self.open(resource, {}).read_at(0, resource.size)
        except StreamReadError as error:
            message = f"a table of the WIM cannot be read: {error}"
            raise FilesystemError(message) from error


def root_at(metadata: bytes) -> int:
    """Where the root's entry stands: behind the security descriptors."""
    length = int.from_bytes(metadata[:4], "little")
    return max(8, length + 7 & ~7)


def iter_folder(metadata: bytes, at: int) -> Iterator[WimEntry]:
    """The entries from a place on, up to the end of their folder.

    Raises:
        WimError: the next one is damaged.
    """
    while True:
        if at + 8 > len(metadata):
            message = f"the entries from byte {at} on have no end"
            raise WimError(message)
        if int.from_bytes(metadata[at : at + 8], "little") <= 8:  # noqa: PLR2004 - the end
            return
        entry, at = read_entry(metadata, at)
        yield entry


def read_entry(metadata: bytes, at: int) -> tuple[WimEntry, int]:
    """The entry there, and where the next one stands.

    Raises:
        WimError: it is damaged.
    """
    if at + _ENTRY.size > len(metadata):
        message = f"there is no room for an entry at byte {at} of the metadata"
        raise WimError(message)
    length, attributes, _, inside, created, accessed, written, digest, tag, count, _, name_bytes = _ENTRY.unpack_from(metadata, at)
    end = at + (length + 7 & ~7)
    name = metadata[at + _ENTRY.size : at + _ENTRY.size + name_bytes]
    if length < _ENTRY.size + name_bytes or end > len(metadata) + 7:
        message = f"the entry at byte {at} of the metadata states {length} bytes"
        raise WimError(message)
    streams, end = _read_streams(metadata, end, count)
    is_reparse = bool(attributes & _REPARSE_POINT)
    named, reparse = _assigned([("", digest), *streams], is_reparse=is_reparse)
    return WimEntry(
        name=_utf8(name),
        inside=inside,
        created=created,
        accessed=accessed,
        written=written,
        attributes=attributes,
        reparse_tag=tag if is_reparse else 0,
        streams=named,
        reparse=reparse,
    ), end


def _read_streams(metadata: bytes, at: int, count: int) -> tuple[list[tuple[str, bytes]], int]:
    found = []
    for _ in range(count):
        if at + _STREAM.size > len(metadata):
            message = f"there is no room for a stream at byte {at} of the metadata"
            raise WimError(message)
        length, digest, name_bytes = _STREAM.unpack_from(metadata, at)
        if length < _STREAM.size + name_bytes or at + length > len(metadata) + 7:
            message = f"the stream at byte {at} of the metadata states {length} bytes"
            raise WimError(message)
        name = metadata[at + _STREAM.size : at + _STREAM.size + name_bytes]
        found.append((_utf8(name).decode("utf-8", "backslashreplace"), digest))
        at += length + 7 & ~7
    return found, at


def _assigned(streams: list[tuple[str, bytes]], *, is_reparse: bool) -> tuple[tuple[tuple[str, bytes], ...], bytes | None]:
    """Which stream is what: of those without a name, the first is a reparse point's data; the entry's own digest counts if it is set."""
    unnamed = [digest for index, (name, digest) in enumerate(streams) if not name and (index or digest != NO_DIGEST)]
    reparse = unnamed.pop(0) if is_reparse and unnamed else None
    data = unnamed[0] if unnamed else NO_DIGEST
    return (("", data), *((name, digest) for name, digest in streams if name)), reparse


def _resource(raw: bytes) -> Resource:
    first, at, size = _RESOURCE.unpack(raw)
    return Resource(int.from_bytes(first[:7], "little"), first[7], at, size)


def _method(flags: int) -> Method:
    found = [one for one in Method if flags & one]
    if not found and flags & _COMPRESSED:
        message = f"the WIM is compressed in a way that is not read (flags {flags:#x})"
        raise FilesystemError(message)
    return found[0] if found else Method.NONE


def _utf8(name: bytes) -> bytes:
    return name.decode("utf-16-le", "surrogatepass").encode("utf-8", "surrogatepass") if len(name) % 2 == 0 else name
