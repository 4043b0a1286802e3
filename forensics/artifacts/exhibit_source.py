"""An exhibit with its volumes as dissect.target sees it.

dissect is given each disk once, as raw bytes, and in addition each volume that we derived and that holds a filesystem (unlocked,
logical, assembled), because it has no credential to derive it by itself and would look for members of arrays only among what it
has. Snapshots are left out: a function gives the rows of the live state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.artifacts.dissect_source import open_artifact_source
from forensics.artifacts.logical_source import open_logical_source
from forensics.logical.open_logical import LOGICAL_KINDS
from forensics.volume_tree import SHARED_VOLUME, UNDER_TABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forensics.artifacts.dissect_source import ArtifactSource
    from forensics.disks import Disks
    from forensics.volume_tree import VolumeNode, VolumeTree


def open_exhibit_source(disks: Disks, volumes: VolumeTree, nodes: Sequence[VolumeNode]) -> ArtifactSource:
    """The exhibit, opened for artifact functions.

    Raises:
        ForensicsError: dissect cannot open it.
    """
    if disks.images[0].container in LOGICAL_KINDS:
        return open_logical_source(volumes.reader(nodes[0].volume))
    derived = [one.volume for one in nodes if _is_live(one)]
    return open_artifact_source(disks.images, [volumes.source(volume) for volume in derived])


def _is_live(node: VolumeNode) -> bool:
    """Whether it is a derived volume that holds a filesystem in its present state."""
    if node.derived is None or node.derived.layer in (SHARED_VOLUME, UNDER_TABLE) or node.snapshot or node.is_copy:
        return False
    return node.found is not None and node.found.reader != "raw"
