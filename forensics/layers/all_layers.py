"""Every layer that is known, in the order in which a survey takes them: what reveals other volumes first, snapshots last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.layers.bitlocker import BitLocker
from forensics.layers.corestorage import CoreStorage
from forensics.layers.dynamic_disk import DynamicDisk
from forensics.layers.luks import Luks
from forensics.layers.lvm import Lvm
from forensics.layers.md import Md
from forensics.layers.partitions import Partitions
from forensics.layers.shadow_copies import ShadowCopies
from forensics.layers.veracrypt import VeraCrypt

if TYPE_CHECKING:
    from forensics.layers.base import Layer

# The first disk of an array, and what is encrypted, may begin like a partition table. VeraCrypt is a guess: a disk of an array that begins
# with random bytes is the array's.
ALL_LAYERS: tuple[Layer, ...] = (BitLocker(), Luks(), CoreStorage(), Md(), DynamicDisk(), Lvm(), Partitions(), ShadowCopies(), VeraCrypt())
OF_WHOLE_DISKS = frozenset({DynamicDisk.name})
"""Layers whose members are whole disks, because what they need lies outside of every partition; a disk goes by its largest volume."""
