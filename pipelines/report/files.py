"""The listings of entries: those with YARA hits, those that were deleted, those inside other files, what free space held, and all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pipelines.report.escaping import Html, join, show, trusted
from pipelines.report.listing import NOTHING, Head, Listing, Row, cell, stacked, write_listing
from pipelines.report.rendering import Site, anchor
from pipelines.report.tables import Filter, RunTables, above, one_of
from pipelines.report.wording import counted, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.report.listing import Written

_COLUMNS: Final = (
    "volume", "metadata_address", "stream", "path", "kind", "link_target", "original_path", "recovery",
    "metadata_allocated", "unlocked_with", "overwritten", "size", "bytes_read", "sha256",
    "mime_type", "description", "extension_mismatch", "scan", "hits", "modified", "created", "accessed", "tz_basis",
)  # fmt: skip
_HEADS: Final = (
    Head(title="Name and address", meaning="path, then volume, metadata address and SHA-256", style="wide"),
    Head(title="State", meaning="whether the name and the file were still in use", style="state"),
    Head(title="Size", meaning="as the filesystem states it", style="num"),
    Head(title="Type by content", meaning="MIME type and description, as libmagic reads the content", style="type"),
    Head(title="Times (UTC)", style="time"),
    Head(title="YARA scan", meaning="whether the whole content was scanned, and how many rules match"),
)
_STATES: Final = {
    "allocated": "present",
    "deleted metadata": "deleted",
    "deleted name": "deleted name; its content now belongs to another file",
    "orphan": "deleted, name of its folder lost",
    "slack": "behind the end of a file",
    "unallocated": "space of no file",
    "in no file": "in use, but of no file listed",
    "carved": "found in space of no file",
    "archive member": "inside another file",
    "shadow copy": "as it was earlier",
}
_DELETED: Final = ("deleted metadata", "deleted name", "orphan")
_INSIDE: Final = ("archive member",)
_CARVED: Final = ("carved",)
_SPACE: Final = ("slack", "unallocated", "in no file")
_UTC: Final = "UTC"
_DESCRIPTION_LIMIT: Final = 80


def address_line(volume: str, address: int | None, stream: str) -> Html:
    """Where a row lies, so that another tool can go there: volume, metadata address, stream."""
    parts = [show(volume or "whole image"), show("no entry" if address is None else f"entry {address}")]
    if stream:
        parts.append(join((show("stream "), show(stream))))
    return join(parts, by=" &middot; ")


def _times(row: dict[str, Any]) -> Html:
    named = [(name, row[name]) for name in ("modified", "created", "accessed") if row[name]]
    lines = [trusted(f"<span>{name}</span> {show(value)}") for name, value in named]
    if named and row["tz_basis"] and row["tz_basis"] != _UTC:
        lines.append(trusted(f'<em class="warn">{show(row["tz_basis"])}</em>'))
    return join(lines, by="<br>") if lines else NOTHING


def _digest_name(row: dict[str, Any]) -> str:
    """Of a deleted stream that is left in part, the digest covers what is left."""
    whole = row["bytes_read"] is None or row["size"] is None or row["bytes_read"] >= row["size"]
    return "SHA-256" if whole else f"SHA-256 of the {row['bytes_read']:,} bytes read"


def _scan(row: dict[str, Any]) -> Html:
    if row["scan"] is None:
        return NOTHING
    if row["hits"]:
        return join(
            (show(row["scan"]), trusted(f'<br><a class="hit" href="hits.html">{counted(row["hits"], "rule matches", "rules match")}</a>'))
        )
    return show(row["scan"])


def _row(values: tuple[Any, ...]) -> Row:
    row = dict(zip(_COLUMNS, values, strict=True))
    deleted_inside = row["recovery"] in _INSIDE and row["metadata_allocated"] is False
    gone = row["recovery"] in _DELETED or deleted_inside
    below = [address_line(row["volume"], row["metadata_address"], row["stream"])]
    if row["link_target"]:
        below.append(join((show("points to "), show(row["link_target"]))))
    if row["original_path"]:
        below.append(join((show("in a recycle bin; it was "), show(row["original_path"]))))
    if row["sha256"]:
        below.append(trusted(f'<span class="mono">{_digest_name(row)} {show(row["sha256"])}</span>'))
    state = _STATES.get(row["recovery"], row["recovery"]) + ("; space of it is in use again" if row["overwritten"] else "")
    state += "; deleted there" if deleted_inside else ""
    state += f"; decrypted with a {row['unlocked_with']}" if row["unlocked_with"] else ""
    kind = row["mime_type"] or (row["kind"] if row["kind"] != "file" else None)
    types = [cell(kind)]
    if row["description"]:
        types.append(show(row["description"], limit=_DESCRIPTION_LIMIT))
    if row["extension_mismatch"]:
        types.append(trusted('<em class="warn">name says otherwise</em>'))
    return Row(
        anchor=anchor(row["volume"], row["metadata_address"], row["path"], row["stream"]),
        cells=(
            stacked(cell(row["path"]), *below),
            trusted(f'<b class="gone-mark">✕ {show(state)}</b>') if gone else show(state),
            NOTHING if row["size"] is None else trusted(f'<span title="{row["size"]:,} bytes">{size(row["size"])}</span>'),
            stacked(*types),
            _times(row),
            _scan(row),
        ),
        style="gone" if gone else "",
    )


def _rows(tables: RunTables, where: Filter | None) -> Iterator[Row]:
    return map(_row, tables.rows("entries", _COLUMNS, where))


def count_files(tables: RunTables) -> int:
    """How many entries are files, folders and the like, not pieces of free space."""
    return tables.count("entries") - tables.count("entries", one_of("recovery", _SPACE))


def write_files(site: Site, tables: RunTables, *, exhibit_query: str, wanted: frozenset[str]) -> dict[str, Written]:
    """Writes the listings; keys "with-hits", "deleted", "inside", "carved", "all".

    Args:
        site: where the pages go.
        tables: the run's tables.
        exhibit_query: the beginning of the query command, up to the filter.
        wanted: anchors that hits and problems want to link to; looked up in "all", and in "with-hits" where "all" left them out.
    """
    hits = above("hits", 0)
    plans = {
        "with-hits": ("Files with YARA hits", hits, "AND hits > 0", "a stream in which at least one YARA rule matches"),
        "deleted": (
            "Deleted files",
            one_of("recovery", _DELETED),
            f"AND recovery IN {_DELETED}",
            "a deleted or orphan entry that the filesystem still names or describes",
        ),
        "inside": (
            "Files inside files",
            one_of("recovery", _INSIDE),
            "AND recovery = 'archive member'",
            "a file in an archive, a document, a message or a disk image that lies in the image; before // stands what holds it",
        ),
        "carved": (
            "Files found in free space",
            one_of("recovery", _CARVED),
            "AND recovery = 'carved'",
            "a file recognised by its structure where no file is any more; its name and times are not known",
        ),
        "all": (
            "All files",
            None,
            "",
            "one stream of one entry: files, named streams, folders, links, present and deleted, files inside files, pieces of free space",
        ),
    }
    written = {}
    for key, (title, where, condition, meaning) in plans.items():
        listing = Listing(
            key=f"files-{key}",
            title=title,
            caption=f"A row is {meaning}.",
            heads=_HEADS,
            total=tables.count("entries", where),
            query=f"{exhibit_query.format(table='entries')} {condition}".strip(),
        )
        written[key] = write_listing(site, listing, _rows(tables, where), wanted=wanted)
    return written
