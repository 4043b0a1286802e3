"""One filesystem listed by two engines -> the differences: rows of the table `cross_check`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import forensics.filesystems.dissect_fs as beyond_tsk
from forensics.cross_check import compare_readers
from forensics.errors import ForensicsError, Problem, Stage
from forensics.schema import CROSS_CHECK
from forensics.signatures import HEAD_BYTES
from pipelines.problems import write_problems
from pipelines.tables import write_rows
from pipelines.tasks import Receipt

if TYPE_CHECKING:
    from forensics.volume_tree import VolumeNode
    from pipelines.tables import Part
    from pipelines.tasks import CrossCheck
    from pipelines.worker import OpenExhibit

_COMPARED = ("ntfs", "fat12", "fat16", "fat32", "ext2", "ext3", "ext4", "ufs1", "ufs2")


def is_cross_checked(node: VolumeNode) -> bool:
    """Whether both engines read the filesystem in the volume. exFAT's contents dissect reads wrong, so that nothing would be shown."""
    return node.found is not None and node.found.reader == "tsk" and node.found.filesystem in _COMPARED


def cross_check_volume(exhibit: OpenExhibit, task: CrossCheck) -> Receipt:
    """Lists the volume with TSK and with dissect, compares, and writes the differences."""
    context, volume = exhibit.context, task.volume
    rows: list[dict[str, Any]] = []
    problems: list[Problem] = []
    try:
        source = exhibit.volumes.source(volume)
        head = source.read_at(0, HEAD_BYTES)
        found = beyond_tsk.find_filesystems(source, head, volume=volume, credentials=(), also_tsk_kinds=True)
        if not found:
            message = "dissect recognises no filesystem in it"
            raise ForensicsError(message)  # noqa: TRY301 - one handler for all that keeps the second engine from opening it
        second = beyond_tsk.open_reader(source, found[0], volume=volume, credentials=())
        for one in compare_readers(exhibit.reader(volume), second, context.limits):
            if isinstance(one, Problem):
                problems.append(one)
            else:
                rows.append({"exhibit": context.exhibit, "volume": volume, **one.as_row()})
    except ForensicsError as error:
        problems.append(
            Problem(
                stage=Stage.FILESYSTEM,
                code="cross-check-failed",
                what=f"the filesystem in volume {volume} could not be listed by a second engine",
                why=str(error),
                advice="the listing by the first engine does not depend on it",
                volume=volume,
            )
        )
    parts: list[Part] = []
    if rows:
        parts.append(write_rows(context.tables, CROSS_CHECK, task.name, rows))
    parts += write_problems(context.tables, task.name, context.exhibit, problems)
    return Receipt(task=task.name, parts=tuple(parts), items=len(rows), bytes_read=0, problems=len(problems))
