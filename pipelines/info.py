"""What an image is, without processing it: container, stored digests, volumes, and what will not be read and why."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from forensics.image import open_image
from forensics.names import escape_text
from forensics.survey import survey
from pipelines.coverage import volume_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def describe_image(path: Path) -> dict[str, Any]:
    """The facts about an image as JSON values.

    Raises:
        ImageError: it cannot be opened.
    """
    with open_image(path) as image:
        found = survey(image)
        rows = volume_rows("", found.volumes)
        for row in rows:
            del row["exhibit"]
        return {
            "container": image.container,
            "segments": [{"name": segment.name, "size": segment.size} for segment in image.segments],
            "media_size": image.size,
            "sector_size": image.sector_size,
            "stored_md5": image.stated.md5,
            "stored_sha1": image.stated.sha1,
            "header_values": dict(image.header_values),
            "partition_scheme": rows[0]["scheme"] if rows else "none",
            "volumes": rows,
            "problems": [{**asdict(problem), "stage": str(problem.stage)} for problem in (*image.problems(), *found.problems)],
        }


def render_info(facts: dict[str, Any]) -> Iterator[str]:
    """The facts as lines that are safe on a terminal."""
    names = ", ".join(segment["name"] for segment in facts["segments"])
    yield f"container        {facts['container']}: {names}"
    yield f"media size       {facts['media_size']} bytes, sectors of {facts['sector_size']}"
    yield f"stored MD5       {facts['stored_md5'] or 'none'}"
    yield f"stored SHA-1     {facts['stored_sha1'] or 'none'}"
    for name, value in facts["header_values"].items():
        yield escape_text(f"header           {name}: {value}")
    yield f"partition table  {facts['partition_scheme']}"
    yield ""
    yield f"{'volume':7} {'start byte':>15} {'bytes':>15}  what"
    for row in facts["volumes"]:
        what = " ".join(filter(None, (row["slot"], row["type"])))
        if row["kind"] == "volume":
            name = row["filesystem"] or "no known filesystem"
            label = f" “{row['filesystem_label']}”" if row["filesystem_label"] else ""
            state = f"read by {row['reader']}" if row["status"] == "read" else f"NOT READ: {row['reason']}"
            what = f"{what}: {name}{label}{', encrypted' if row['encrypted'] else ''}; {state}"
        yield escape_text(f"{row['volume']:7} {row['start_byte']:>15} {row['size_bytes']:>15}  {what}")
    for problem in facts["problems"]:
        yield ""
        yield escape_text(f"problem: {problem['what']}")
        yield escape_text(f"  why:   {problem['why']}")
        if problem["advice"]:
            yield escape_text(f"  next:  {problem['advice']}")
