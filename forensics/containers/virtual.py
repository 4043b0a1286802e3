"""The media of a virtual disk, whatever its format."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from forensics.containers import qcow2, vdi, vhd, vhdx, vmdk
from forensics.exhibit import Container

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from forensics.exhibit import SourceFile
    from forensics.media import Media

_OPENERS: Mapping[Container, Callable[[SourceFile], Media]] = MappingProxyType(
    {
        Container.QCOW2: qcow2.open_disk,
        Container.VMDK: vmdk.open_disk,
        Container.VHD: vhd.open_disk,
        Container.VHDX: vhdx.open_disk,
        Container.VDI: vdi.open_disk,
    }
)


def open_virtual_disk(container: Container, file: SourceFile) -> Media:
    """The media of the virtual disk in `file`.

    Raises:
        UnsupportedImageError: it needs a file that belongs to no exhibit, or is of a kind that is not read.
        ImageError: it is damaged so that it cannot be opened.
    """
    return _OPENERS[container](file)
