"""The media of a virtual disk, whatever its format."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from forensics.containers import asif, parallels, qcow2, vdi, vhd, vhdx, vmdk
from forensics.containers.lineage import Lineage
from forensics.exhibit import Container
from forensics.raw import open_raw

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forensics.containers.lineage import OpenDisk
    from forensics.exhibit import SourceFile
    from forensics.media import Media


def _open_raw(file: SourceFile, _lineage: Lineage) -> Media:
    return open_raw((file,))


_OPENERS: Mapping[Container, OpenDisk] = MappingProxyType(
    {
        Container.RAW: _open_raw,
        Container.QCOW2: qcow2.open_disk,
        Container.VMDK: vmdk.open_disk,
        Container.VHD: vhd.open_disk,
        Container.VHDX: vhdx.open_disk,
        Container.VDI: vdi.open_disk,
        Container.PARALLELS: parallels.open_disk,
        Container.ASIF: asif.open_disk,
    }
)


def open_virtual_disk(container: Container, file: SourceFile) -> Media:
    """The media of the virtual disk in `file`, with every file that it needs and that lies beside it.

    Raises:
        SegmentMissingError: a file that it needs (a parent, an extent) does not lie beside it; the message names it.
        UnsupportedImageError: it is of a kind that is not read, or names a file that is not opened.
        ImageError: it, or a file that it needs, is damaged so that it cannot be opened.
    """
    lineage = Lineage(file, _OPENERS)
    try:
        return lineage.open(container, file)
    except BaseException:
        lineage.beside.release()
        raise
