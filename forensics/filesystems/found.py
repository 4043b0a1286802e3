"""A filesystem that a reader recognised in a volume, before it is listed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFilesystem:
    """One filesystem inside a volume; an APFS container, for one, holds several.

    Attributes:
        reader: engine that reads it: "tsk", "dissect", "evidex", "logical" or "raw".
        filesystem: its name: "ntfs", "xfs", "btrfs", "apfs", "udf", "tar", …
        selector: what tells it from the others in its volume, stable for the same evidence; "" where it is the only one.
        label: its own label; None where it has none.
        block_size: bytes a block or cluster; None where that means nothing.
        total_bytes: how many bytes it states to cover in its volume; None where it states none.
        encrypted: whether it is encrypted and was not unlocked; then `reason` says why, and it is not listed.
        unlocked_with: kind of the credential that opened it; "" if it is not encrypted.
        created: when a snapshot was taken, nanoseconds since 1970 UTC; None for the live state.
        reason: why it cannot be listed; "" where it can.
    """

    reader: str
    filesystem: str
    selector: str = ""
    label: str | None = None
    block_size: int | None = None
    total_bytes: int | None = None
    encrypted: bool = False
    unlocked_with: str = ""
    created: int | None = None
    reason: str = ""
