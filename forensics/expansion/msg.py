"""The members of an Outlook message file (MSG): its text, bodies and attachments; an attached message under its own name.

References: MS-OXMSG 2.1 (streams of properties), 2.2 (storages of recipients, attachments, embedded messages), 2.4 (fixed properties).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.errors import ArchiveError
from forensics.expansion.base import Member
from forensics.expansion.guard import guarded
from forensics.expansion.mapi import ATTACH_DATA, BINARY, CREATED, MODIFIED, UNICODE, Property, message_files, name_of
from forensics.expansion.member_names import stored_path
from forensics.expansion.member_problems import damaged
from forensics.filesystems.base import Kind, Times
from forensics.timestamps import from_filetime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from forensics.errors import Problem
    from forensics.expansion.compound_file import CompoundEntry, CompoundFile

PROPERTIES_STREAM = "__properties_version1.0"
_PROPERTY = re.compile(r"__substg1\.0_([0-9A-Fa-f]{4})([0-9A-Fa-f]{4})")
_ATTACHMENT = "__attach_version1.0_#"
_EMBEDDED = "__substg1.0_3701000D"
# Larger values are given as they are (attachments) or are no text worth holding.
_MOST_PROPERTY_BYTES = 64 << 20
_BLOCK_BYTES = 256 * 1024
_DEEPEST = 20
_FIXED = struct.Struct("<HHI8s")
_FIXED_HEADS = {"message": 32, "embedded": 24, "other": 8}  # 2.4.1


@dataclass(frozen=True, slots=True)
class _Message:
    compound: CompoundFile
    below: dict[tuple[str, ...], list[CompoundEntry]]
    name: str
    unreadable: list[Problem]


def message_members(compound: CompoundFile, entries: tuple[CompoundEntry, ...], name: str) -> Iterator[Member | Problem]:
    """The members of the message whose streams are `entries`; a Problem for each property that could not be read."""
    below: dict[tuple[str, ...], list[CompoundEntry]] = {}
    for entry in entries:
        below.setdefault(entry.path[:-1], []).append(entry)
    message = _Message(compound, below, name, [])
    yield from _members(message, (), "", 0)
    yield from message.unreadable


def _members(message: _Message, storage: tuple[str, ...], prefix: str, depth: int) -> Iterator[Member]:
    properties = _properties(message, storage, _FIXED_HEADS["embedded" if depth else "message"])
    times = Times(
        created=from_filetime(properties[CREATED].filetime()) if CREATED in properties else None,
        modified=from_filetime(properties[MODIFIED].filetime()) if MODIFIED in properties else None,
    )
    for label, content in message_files(properties):
        yield _member(f"{prefix}{label}", f"{prefix}{label}", _once(content, f"{message.name}: {label}"), None, times)
    attachments = [entry for entry in message.below.get(storage, []) if entry.is_storage and entry.path[-1].startswith(_ATTACHMENT)]
    for number, attachment in enumerate(sorted(attachments, key=lambda one: one.path[-1]), start=1):
        of = _properties(message, attachment.path, _FIXED_HEADS["other"])
        label = f"{prefix}attachments/{number:03} {name_of(of, number)}"
        address = f"{prefix}attachment {number}"
        for entry in message.below.get(attachment.path, []):
            if entry.path[-1] == _EMBEDDED and entry.is_storage and depth < _DEEPEST:
                if any(one.path[-1] == PROPERTIES_STREAM for one in message.below.get(entry.path, [])):
                    yield from _members(message, entry.path, f"{label}/", depth + 1)
                else:
                    yield from _object(message, entry, label)
            elif entry.path[-1].upper() == f"__substg1.0_{ATTACH_DATA:04X}{BINARY:04X}".upper():
                blocks = guarded(message.compound.blocks(entry), f"{message.name}: {address}")
                yield _member(label, address, blocks, entry.size, times)


def _object(message: _Message, storage: CompoundEntry, label: str) -> Iterator[Member]:
    """The streams of an embedded OLE object."""
    stack = [storage]
    while stack:
        for entry in message.below.get(stack.pop().path, []):
            path = "/".join((label, *entry.path[len(storage.path) :]))
            if entry.is_storage:
                stack.append(entry)
            else:
                yield _member(path, f"entry {entry.number}", guarded(message.compound.blocks(entry), path), entry.size, Times())


def _properties(message: _Message, storage: tuple[str, ...], head_bytes: int) -> dict[int, Property]:
    """The properties of the storage; of one that cannot be read, a Problem is kept."""
    found: dict[int, Property] = {}
    for entry in message.below.get(storage, []):
        named = _PROPERTY.fullmatch(entry.path[-1])
        if entry.is_storage or (named is None and entry.path[-1] != PROPERTIES_STREAM):
            continue
        tag, kind = (int(named.group(1), 16), int(named.group(2), 16)) if named is not None else (0, 0)
        if tag == ATTACH_DATA:
            continue
        try:
            value = message.compound.read(entry, _MOST_PROPERTY_BYTES)
        except ArchiveError as error:
            message.unreadable.append(damaged(f"{message.name}: property {tag:#06x} (entry {entry.number}) could not be read", str(error)))
            continue
        if len(value) < entry.size:
            why = f"it has {entry.size} bytes, more than {_MOST_PROPERTY_BYTES}"
            message.unreadable.append(damaged(f"{message.name}: property {tag:#06x} (entry {entry.number}) was cut", why))
        if named is not None:
            found[tag] = Property(kind, value)
            continue
        for at in range(head_bytes, len(value) - _FIXED.size + 1, _FIXED.size):
            kind, tag, _, fixed = _FIXED.unpack_from(value, at)
            if kind not in (UNICODE, BINARY, 0x1E, 0x0D):
                found.setdefault(tag, Property(kind, fixed))
    return found


def _once(content: Callable[[], bytes], where: str) -> Iterator[bytes]:
    def blocks() -> Iterator[bytes]:
        data = content()
        for start in range(0, len(data), _BLOCK_BYTES):
            yield data[start : start + _BLOCK_BYTES]

    return guarded(blocks(), where)


def _member(path: str, address: str, blocks: Iterator[bytes], size: int | None, times: Times) -> Member:
    return Member(
        path=stored_path(path.encode("utf-8", "surrogatepass")),
        kind=Kind.FILE,
        address=address,
        size=size,
        times=times,
        blocks=blocks,
        skippable=True,
    )
