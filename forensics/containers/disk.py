"""One reader over what dissect.hypervisor opens: bounded, cached, never short without saying so."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from forensics.errors import UnsupportedImageError
from forensics.exhibit import shown

if TYPE_CHECKING:
    from forensics.exhibit import Container, SourceFile


def open_virtual_disk(container: Container, file: SourceFile) -> NoReturn:
    """Not read yet."""
    message = f"{shown(file.path)}: is {container}, which is not read"
    raise UnsupportedImageError(message)
