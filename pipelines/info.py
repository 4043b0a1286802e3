"""What an image is, without processing it: container, stored digests, volumes, and what will not be read and why."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forensics.disks import open_disks
from forensics.names import escape_text
from forensics.survey import survey
from pipelines.coverage import volume_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.credentials import Credential
    from forensics.image import Image

_NAMES_SHOWN = 12


def describe_exhibit(paths: tuple[Path, ...], credentials: tuple[Credential, ...] = ()) -> dict[str, Any]:
    """The facts about an exhibit's images as JSON values.

    Raises:
        ImageError: one of them cannot be opened.
    """
    with open_disks(paths) as disks, tempfile.TemporaryDirectory(prefix="evidex-") as spool:
        found = survey(disks, spool=Path(spool), credentials=credentials)
        rows = volume_rows("", found.volumes)
        for row in rows:
            del row["exhibit"]
        return {
            **_image_facts(disks.images[0]),
            "images": [_image_facts(image) for image in disks.images],
            "media_size": disks.size,
            "partition_scheme": rows[0]["scheme"] if rows else "none",
            "volumes": rows,
            "problems": [{**asdict(problem), "stage": str(problem.stage)} for problem in (*disks.problems(), *found.problems)],
        }


def _image_facts(image: Image) -> dict[str, Any]:
    return {
        "container": image.container,
        "segments": [{"name": segment.name, "size": segment.size} for segment in image.segments],
        "media_size": image.size,
        "sector_size": image.sector_size,
        "stored_md5": image.stated.md5,
        "stored_sha1": image.stated.sha1,
        "header_values": dict(image.header_values),
    }


def render_info(facts: dict[str, Any]) -> Iterator[str]:
    """The facts as lines that are safe on a terminal."""
    for image in facts["images"]:
        names = [segment["name"] for segment in image["segments"]]
        more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        yield f"container        {image['container']}: {', '.join(names[:_NAMES_SHOWN])}{more}"
        yield f"media size       {image['media_size']} bytes, sectors of {image['sector_size']}"
        yield f"stored MD5       {image['stored_md5'] or 'none'}"
        yield f"stored SHA-1     {image['stored_sha1'] or 'none'}"
        for name, value in image["header_values"].items():
            yield escape_text(f"header           {name}: {value}")
    yield f"partition table  {facts['partition_scheme']}"
    yield ""
    yield f"{'volume':7} {'start byte':>15} {'bytes':>15}  what"
    for row in facts["volumes"]:
        start = "-" if row["start_byte"] is None else row["start_byte"]
        yield escape_text(f"{row['volume']:7} {start:>15} {row['volume_bytes']:>15}  {_what(row)}")
    for problem in facts["problems"]:
        yield ""
        yield escape_text(f"problem: {problem['what']}")
        yield escape_text(f"  why:   {problem['why']}")
        if problem["advice"]:
            yield escape_text(f"  next:  {problem['advice']}")


def _what(row: dict[str, Any]) -> str:
    what = " ".join(filter(None, (row["slot"], row["type"])))
    if row["kind"] == "gap":
        return what
    if row["name"]:
        what += f" “{row['name']}”"
    if row["status"] == "unfolded":  # the reason begins with what it is
        return f"{what}: {row['reason']}"
    name = row["filesystem"] or "no known filesystem"
    label = f" “{row['filesystem_label']}”" if row["filesystem_label"] else ""
    unlocked = f", unlocked with {row['unlocked_with']}" if row["unlocked_with"] else ""
    state = f"read by {row['reader']}" if row["status"] == "read" else row["reason"]
    if row["status"] == "not read":
        state = f"NOT READ: {row['reason']}"
    return f"{what}: {name}{label}{', encrypted' if row['encrypted'] else ''}{unlocked}; {state}"
