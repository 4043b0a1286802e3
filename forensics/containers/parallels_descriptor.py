"""DiskDescriptor.xml of a Parallels disk: which files make up which range of the disk, and which snapshot stands on which.

References: QEMU docs/interop/prl-xml.rst.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID
from xml.etree.ElementTree import ParseError, TreeBuilder, XMLParser

from forensics.errors import ImageError, UnsupportedImageError
from forensics.exhibit import shown
from forensics.names import escape_text

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from forensics.exhibit import SourceFile

ROOT = "Parallels_disk_image"
_MAX_XML_BYTES = 1024 * 1024
_MAX_STORAGES, _MAX_SNAPSHOTS = 1024, 40
_MAX_DIGITS = 16
_SECTOR_BYTES = 512
_NO_PARENT = UUID(int=0)
_DEFAULT_TOP = UUID("5fbaabe3-6958-40ff-92a7-860e329aab41")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """One file of a storage: the snapshot that it holds, whether it is a plain file or one of Parallels' blocks, its name as stated."""

    snapshot: UUID
    is_plain: bool
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """The range `disk[start : end]`, bytes, and the files that hold it."""

    start: int
    end: int
    images: tuple[StoredImage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """A Parallels disk: its storages, which tile it, and its snapshots from the newest state down to the root."""

    storages: tuple[Storage, ...]
    chain: tuple[UUID, ...]


class _Elements(TreeBuilder):
    """The elements of a document without a document type: that could define entities, which grow without end or name files."""

    def doctype(self, _name: str, _pubid: str | None, _system: str | None) -> None:
        message = "it has a document type, which no descriptor of Parallels has"
        raise ValueError(message)


def read_descriptor(file: SourceFile) -> Descriptor:
    """The descriptor in that file.

    Raises:
        UnsupportedImageError: the disk is encrypted, or padded.
        ImageError: it is no well-formed descriptor, or states what cannot be.
    """
    if file.size > _MAX_XML_BYTES:
        message = f"{shown(file.path)}: is larger than any descriptor of a Parallels disk"
        raise ImageError(message)
    parser = XMLParser(target=_Elements())  # noqa: S314 - no document type, so no entities; bounded above
    try:
        parser.feed(file.read_at(0, file.size))
        root = parser.close()
        if root.tag != ROOT:
            message = f"its root element is {root.tag}"
            raise ValueError(message)  # noqa: TRY301 - told below, like all that is wrong with it
        _check_kind(file, root)
        storages = _storages(root)
        return Descriptor(storages=storages, chain=_chain(root))
    except (ParseError, ValueError, LookupError) as error:
        message = f"{shown(file.path)}: is no descriptor of a Parallels disk that can be read: {escape_text(str(error))}"
        raise ImageError(message) from error


def _check_kind(file: SourceFile, root: Element) -> None:
    engine = root.findtext("Disk_Parameters/Encryption/Engine")
    what = ""
    if engine and UUID(engine) != _NO_PARENT:
        what = "is encrypted"
    elif root.findtext("Disk_Parameters/Padding", "0").strip() != "0":
        what = "is padded"
    if what:
        message = f"{shown(file.path)}: the Parallels disk {what}, which is not read; convert it with Parallels' own tool"
        raise UnsupportedImageError(message)


def _storages(root: Element) -> tuple[Storage, ...]:
    elements = root.findall("StorageData/Storage")
    if not 0 < len(elements) <= _MAX_STORAGES:
        message = f"it lists {len(elements)} storages"
        raise ValueError(message)
    storages = sorted((_storage(element) for element in elements), key=lambda one: one.start)
    expected = 0
    for storage in storages:
        if storage.start != expected or storage.end <= storage.start:
            message = f"its storages do not tile the disk: one starts at byte {storage.start} where {expected} is due"
            raise ValueError(message)
        expected = storage.end
    return tuple(storages)


def _storage(element: Element) -> Storage:
    return Storage(
        start=_number(_text(element, "Start")) * _SECTOR_BYTES,
        end=_number(_text(element, "End")) * _SECTOR_BYTES,
        images=tuple(_image(image) for image in element.findall("Image")),
    )


def _image(element: Element) -> StoredImage:
    kind = _text(element, "Type")
    if kind not in ("Plain", "Compressed"):
        message = f"it has an image of the type {kind}"
        raise ValueError(message)
    return StoredImage(snapshot=UUID(_text(element, "GUID")), is_plain=kind == "Plain", name=_text(element, "File"))


def _chain(root: Element) -> tuple[UUID, ...]:
    """The newest state is TopGUID or, without it, a fixed one ("Snapshots element"); from it each shot names its parent."""
    parents = {UUID(_text(shot, "GUID")): UUID(_text(shot, "ParentGUID")) for shot in root.findall("Snapshots/Shot")}
    top = root.findtext("Snapshots/TopGUID")
    at = UUID(top.strip()) if top else _DEFAULT_TOP
    chain: list[UUID] = []
    while at != _NO_PARENT:
        if at in chain or len(chain) >= _MAX_SNAPSHOTS:
            message = f"its snapshots are a loop or more than {_MAX_SNAPSHOTS}, at {at}"
            raise ValueError(message)
        if at not in parents:
            message = f"it does not describe the snapshot {at}"
            raise ValueError(message)
        chain.append(at)
        at = parents[at]
    return tuple(chain)


def _text(element: Element, name: str) -> str:
    text = (element.findtext(name) or "").strip()
    if not text:
        message = f"an element {element.tag} has no {name}"
        raise ValueError(message)
    return text


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > _MAX_DIGITS:
        message = f"{text[:_MAX_DIGITS]} is no number of sectors"
        raise ValueError(message)
    return int(text)
