"""What is said of a volume in which no filesystem was recognised, and whether its bytes are read all the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.errors import Problem, Stage
from forensics.signatures import identify

if TYPE_CHECKING:
    from forensics.filesystems.found import FoundFilesystem
    from forensics.layers.base import Unclaimed

# Partition types, as TSK names them, that hold no filesystem by definition (UEFI specification, Microsoft, GRUB manual).
_WITHOUT_FILESYSTEM = ("Microsoft reserved partition", "BIOS Boot partition", "BIOS boot partition")
RESERVED = "reserved; a partition of this type holds no filesystem; its bytes were read as raw space"
ADVICE_UNLOCK = "give a credential for it (--credentials), or image the volume unlocked"
ADVICE_OTHER_TOOL = "read the volume with a tool that knows this kind"
_BOOT_SECTORS = {b"NTFS    ": "NTFS", b"EXFAT   ": "exFAT"}  # what stands at byte 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Unrecognised:
    """What became of such a volume.

    Attributes:
        filesystem: what its first bytes say it is; None where they say nothing.
        encrypted: whether it is encrypted; then its bytes are not read, because nothing is to be found in them.
        reason: why no filesystem is read in it.
        problem: the row that says so; None where nothing is wrong.
    """

    filesystem: str | None
    encrypted: bool = False
    reason: str
    problem: Problem | None = None


def judge(volume: str, size: int, head: bytes, *, partition_type: str, why: str, guess: Unclaimed | None) -> Unrecognised:
    """Says what is known of the volume.

    Args:
        volume: its identifier.
        size: its size, bytes.
        head: its first bytes, signatures.HEAD_BYTES of them or all.
        partition_type: its type by the partition table; "" where it is no partition.
        why: why no reader took it.
        guess: what a layer tried on it that nothing shows; None if none did.
    """
    signature = identify(head)
    known_as = signature.name if signature is not None else None
    if signature is None and partition_type in _WITHOUT_FILESYSTEM:
        return Unrecognised(filesystem=None, reason=RESERVED)
    if signature is not None and signature.encrypted:
        reason = f"encrypted with {known_as}; no credential opened it"
        problem = volume_problem(volume, size, "volume-encrypted", what=f"volume {volume} is locked", why=reason, advice=ADVICE_UNLOCK)
        return Unrecognised(filesystem=known_as, encrypted=True, reason=reason, problem=problem)
    if signature is not None and signature.swap:
        return Unrecognised(filesystem=known_as, reason=f"{known_as}: memory that was swapped out; its bytes were read as raw space")
    boot_sector, advice = _BOOT_SECTORS.get(head[3:11]), ADVICE_OTHER_TOOL
    if boot_sector is not None:
        reason = (
            f"a boot sector of {boot_sector} is there, and no filesystem behind it that can be opened; its bytes were read as raw space"
        )
        what, cause = f"the {boot_sector} filesystem in volume {volume} could not be opened; no file in it was listed", why
    elif known_as is not None:
        reason = f"{known_as} is not read by this version; its bytes were read as raw space"
        what, cause = f"volume {volume} holds {known_as}; no file in it was listed", reason
    else:
        # The layer or TSK tells by the entropy of the first bytes; what looks encrypted may only be compressed.
        looks_random = guess is not None or "ncrypt" in why
        told = "; its bytes look random: it may be encrypted in a way that leaves no mark (VeraCrypt), or compressed"
        reason = f"no filesystem was recognised{told if looks_random else ''}; its bytes were read as raw space"
        what, cause = f"no filesystem was recognised in volume {volume}; no file in it was listed", reason if looks_random else why
        cause = f"{cause}; {guess.tried}" if guess is not None else cause
        advice = guess.advice if guess is not None else f"if it is encrypted, {ADVICE_UNLOCK}" if looks_random else advice
    problem = volume_problem(volume, size, "volume-not-read", what=what, why=cause, advice=advice)
    return Unrecognised(filesystem=known_as, reason=reason, problem=problem)


def second_choice(volume: str, size: int, found: FoundFilesystem, why: str) -> Problem:
    """That The Sleuth Kit refused a filesystem which another engine reads.

    Args:
        volume: its identifier.
        size: its size, bytes.
        found: the filesystem, as the other engine has it.
        why: why it was refused.
    """
    what = f"The Sleuth Kit does not open the filesystem in volume {volume}; {found.reader} reads it, without deleted files and slack"
    advice = "the volume may be damaged: use another copy, if there is one"
    return volume_problem(volume, size, "reader-second-choice", what=what, why=why, advice=advice)


def volume_problem(volume: str, size: int, code: str, *, what: str, why: str, advice: str) -> Problem:
    """A problem of a volume as a whole."""
    return Problem(stage=Stage.VOLUMES, code=code, what=what, why=why, advice=advice, volume=volume, start_byte=0, size_bytes=size)
