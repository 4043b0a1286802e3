"""Opener of Outlook's stores (PST, OST, PAB): folders as path, each message's text, bodies and attachments as members.

The owner file of pypff (libpff-python). Items that no folder leads to any more come last and are marked deleted. What the binding
does not give: messages attached to messages, and what only a search of the free space would recover; the former are stated.

References: MS-PST; libpff's "Personal Folder File (PFF) forensics".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pypff

from forensics.boundary import attempt
from forensics.expansion.base import Member
from forensics.expansion.guard import called, guarded, reason
from forensics.expansion.mapi import (
    ATTACH_METHOD,
    BY_VALUE,
    CREATED,
    EMBEDDED_MESSAGE,
    MODIFIED,
    SUBJECT,
    TEXT_PROPERTIES,
    Property,
    as_name,
    message_files,
    name_of,
)
from forensics.expansion.member_names import stored_path
from forensics.expansion.member_problems import damaged, unsupported
from forensics.filesystems.base import Kind, Times
from forensics.names import escape_text
from forensics.timestamps import from_filetime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from forensics.credentials import Credential
    from forensics.errors import Problem

_SIGNATURE = b"!BDN"  # MS-PST 2.2.2.6
_DEEPEST = 100
_BLOCK_BYTES = 256 * 1024
_LONGEST_SUBJECT = 80
_ATTACHMENT_PROPERTIES = frozenset((0x3001, 0x3704, ATTACH_METHOD, 0x3707))


class Pst:
    """Opens PST, OST and PAB files."""

    name = "pst"

    def recognises(self, head: bytes, mime_type: str, name: str) -> bool:  # noqa: ARG002 - the signature says it all
        """Whether a content is of this kind."""
        return head[:4] == _SIGNATURE and head[8:10] in (b"SM", b"SO", b"AB")

    def iter_members(
        self,
        file: BinaryIO,
        size: int,  # noqa: ARG002 - libpff asks the file
        name: str,
        credentials: tuple[Credential, ...],  # noqa: ARG002 - a PST's password locks nothing: its contents are read without
    ) -> Iterator[Member | Problem]:
        """The messages of all folders, then the orphans."""
        store: Any = pypff.file()
        called(lambda: store.open_file_object(file), f"{name}: libpff cannot open it")
        yield from _folder_members(store, name)
        count, problem = _tried(store.get_number_of_orphan_items, f"{name}: orphan items could not be counted")
        if problem is not None:
            yield problem
        for index in range(count or 0):
            orphan, problem = _tried(lambda index=index: store.get_orphan_item(index), f"{name}: orphan item {index} could not be read")  # type: ignore[misc]
            if problem is not None:
                yield problem
            elif orphan is not None:
                yield from _message_members(orphan, "orphans", index + 1, name, deleted=True)


def _folder_members(store: Any, name: str) -> Iterator[Member | Problem]:
    """Folders depth first; a folder that contains itself is entered once."""
    root, problem = _tried(store.get_root_folder, f"{name}: the root folder could not be read")
    if problem is not None:
        yield problem
    seen: set[int] = set()
    stack: list[tuple[Any, str, int]] = [(root, "", 0)] if root is not None else []
    while stack:
        folder, path, depth = stack.pop()
        identifier = int(folder.identifier)
        if identifier in seen or depth > _DEEPEST:
            continue
        seen.add(identifier)
        where = f"{name}: folder {escape_text(path) or '(root)'}"
        yield Member(
            path=stored_path(path.encode("utf-8", "surrogateescape")),
            kind=Kind.DIRECTORY,
            address=f"node {identifier}",
            size=None,
            times=Times(),
            blocks=None,
            skippable=True,
        )
        for number, item in enumerate(_items(folder.get_number_of_sub_messages, folder.get_sub_message, f"{where}: message"), start=1):
            if _is_problem(item):
                yield item
            else:
                yield from _message_members(item, path, number, name, deleted=False)
        below = []
        for item in _items(folder.get_number_of_sub_folders, folder.get_sub_folder, f"{where}: folder"):
            if _is_problem(item):
                yield item
            else:
                label, _ = _tried(lambda item=item: item.name, where)  # type: ignore[misc]
                below.append((item, f"{path}/{as_name(label or f'folder {item.identifier}')}".lstrip("/"), depth + 1))
        stack += reversed(below)


def _message_members(message: Any, folder: str, number: int, name: str, *, deleted: bool) -> Iterator[Member | Problem]:
    identifier = int(message.identifier)
    address = f"node {identifier}"
    where = f"{name}: {address}"
    properties, problem = _tried(
        lambda: _properties(message, TEXT_PROPERTIES), f"{where}: a message in {folder or '(root)'} could not be read"
    )
    if properties is None:
        if problem is not None:
            yield problem
        return
    subject = properties[SUBJECT].text() if SUBJECT in properties else ""
    # MS-OXCMSG 2.2.1.46: a subject may begin with a mark and the length of its prefix
    subject = subject[2:] if subject.startswith("\x01") else subject
    path = f"{folder}/{number:05} {as_name(subject[:_LONGEST_SUBJECT])}".strip("/ ")
    times = Times(
        created=from_filetime(properties[CREATED].filetime()) if CREATED in properties else None,
        modified=from_filetime(properties[MODIFIED].filetime()) if MODIFIED in properties else None,
    )
    for label, content in message_files(properties):
        yield _member(f"{path}/{label}", f"{address} {label}", times, _once(content, where), deleted=deleted)
    if not hasattr(message, "get_number_of_attachments"):
        return
    attachments = _items(message.get_number_of_attachments, message.get_attachment, f"{where}: attachment")
    for index, item in enumerate(attachments, start=1):
        if _is_problem(item):
            yield item
        else:
            yield _attachment(item, f"{path}/attachments", index, f"{address} attachment {index}", name, times, deleted=deleted)


def _attachment(item: Any, folder: str, index: int, address: str, name: str, times: Times, *, deleted: bool) -> Member:  # noqa: PLR0917
    where = f"{name}: {address}"
    properties = (_tried(lambda: _properties(item, _ATTACHMENT_PROPERTIES), where)[0]) or {}
    path = f"{folder}/{index:03} {name_of(properties, index)}"
    method = int.from_bytes(properties[ATTACH_METHOD].value, "little") if ATTACH_METHOD in properties else BY_VALUE
    size, problem = _tried(lambda: int(item.get_size()), f"{where}: the size of an attachment could not be read")
    if method == EMBEDDED_MESSAGE:
        problem = unsupported(where, "it is a message attached to a message, which the library at hand (pypff) does not open")
    elif size is None and problem is None:
        problem = unsupported(where, "it states no content")
    if problem is not None or size is None:
        return _member(path, address, times, None, deleted=deleted, problem=problem)
    return _member(path, address, times, guarded(_attachment_blocks(item, size), where), size=size, deleted=deleted)


def _attachment_blocks(item: Any, size: int) -> Iterator[bytes]:
    item.seek_offset(0, 0)
    while size > 0:
        block: bytes = item.read_buffer(min(size, _BLOCK_BYTES))
        if not block:
            message = f"{size} bytes are missing at its end"
            raise EOFError(message)
        size -= len(block)
        yield block


def _properties(item: Any, wanted: frozenset[int]) -> dict[int, Property]:
    found: dict[int, Property] = {}
    for at in range(item.get_number_of_record_sets()):
        records = item.get_record_set(at)
        for number in range(records.get_number_of_entries()):
            entry = records.get_entry(number)
            if entry.entry_type in wanted and entry.entry_type not in found and entry.data is not None:
                found[entry.entry_type] = Property(entry.value_type, entry.data)
    return found


def _items(count: Callable[[], int], get: Callable[[int], Any], what: str) -> Iterator[Any]:
    """The items, each by its index; a Problem in place of one that cannot be had."""
    many, problem = _tried(count, f"{what}s could not be counted")
    if problem is not None:
        yield problem
    for index in range(many or 0):
        item, problem = _tried(lambda index=index: get(index), f"{what} {index + 1} could not be read")  # type: ignore[misc]
        if problem is not None:
            yield problem
        elif item is not None:
            yield item


def _is_problem(item: Any) -> bool:
    return hasattr(item, "stage")


def _tried(action: Callable[[], Any], what: str) -> tuple[Any, Problem | None]:
    """What the action gives, or a Problem that says that `what` was not possible."""
    got: list[Any] = []
    error = attempt(lambda: got.append(action()))
    return (None, damaged(what, reason(error))) if error is not None else (got[0], None)


def _once(content: Callable[[], bytes], where: str) -> Iterator[bytes]:
    def blocks() -> Iterator[bytes]:
        data = memoryview(content())
        for start in range(0, len(data), _BLOCK_BYTES):
            yield bytes(data[start : start + _BLOCK_BYTES])

    return guarded(blocks(), where)


def _member(
    path: str,
    address: str,
    times: Times,
    blocks: Iterator[bytes] | None,
    *,
    size: int | None = None,
    deleted: bool = False,
    problem: Problem | None = None,
) -> Member:
    return Member(
        path=stored_path(path.encode("utf-8", "surrogateescape")),
        kind=Kind.FILE,
        address=address,
        size=size,
        times=times,
        blocks=blocks,
        problem=problem,
        deleted=deleted,
        skippable=True,
    )
