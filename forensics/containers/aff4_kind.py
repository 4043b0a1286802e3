"""Whether a ZIP file is an AFF4 volume, and whether that holds a disk or files.

References: AFF4 Standard 1.0, "Storage: ZIP64", members container.description and information.turtle.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from forensics.containers.aff4 import is_logical
from forensics.exhibit import Container

if TYPE_CHECKING:
    from forensics.exhibit import SourceFile

_AFF4 = re.compile(rb"aff4://|container\.description|information\.turtle")
_SEARCH_BYTES = 64 * 1024


def aff4_kind(file: SourceFile) -> Container | None:
    """AFF4 or AFF4_LOGICAL; None if the ZIP file is no AFF4 volume."""
    head = file.read_at(0, _SEARCH_BYTES)
    tail = file.read_at(max(0, file.size - _SEARCH_BYTES), _SEARCH_BYTES)
    if not _AFF4.search(head) and not _AFF4.search(tail):
        return None
    return Container.AFF4_LOGICAL if is_logical(file) else Container.AFF4
