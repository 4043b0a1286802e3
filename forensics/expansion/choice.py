"""Which opener a content is given to: the first, in the order in which they are asked, that knows its start or its end.

An end that is a format's own is asked for early: Apple's disk images begin like the compressed data that they hold. One that is not is
asked for late: a ZIP file that is the last member of a tar archive ends the archive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.expansion.base import EndOpener

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forensics.expansion.base import Opener


def choose(openers: Sequence[Opener], *, head: bytes, end: bytes, mime_type: str, name: str) -> Opener | None:
    """The opener of a content; None if it is of no kind that they open.

    Args:
        openers: the kinds, in the order in which they are asked.
        head: its first MiB, or all if shorter.
        end: its last END_BYTES, or all if shorter.
        mime_type: its MIME type by libmagic.
        name: the file's name, escaped.
    """
    for one in openers:
        if one.recognises(head, mime_type, name) or (isinstance(one, EndOpener) and one.recognises_end(head, end)):
            return one
    return None
