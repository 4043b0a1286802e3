"""Names of members: as they are stored, or made up for what has none. A member's path is never a place to write to."""

from __future__ import annotations

_MADE_UP = b"content"


def stored_path(raw: bytes) -> bytes:
    """The path as it is stored, without "/" at its ends; `content` where nothing is left. ".." and drive letters stay: they are data."""
    return raw.strip(b"/") or _MADE_UP


def without_suffix(name: str, suffixes: tuple[str, ...]) -> bytes:
    """Name of the content of a compressed file: the file's own without the suffix that says how it is compressed.

    Args:
        name: the file's name, escaped; only what follows its last "/" counts.
        suffixes: suffixes in lower case; "=" splits what takes a suffix's place: ".tgz=.tar".
    """
    last = name.rpartition("/")[2]
    for entry in suffixes:
        suffix, _, instead = entry.partition("=")
        if last.lower().endswith(suffix) and len(last) > len(suffix):
            return (last[: -len(suffix)] + instead).encode("utf-8", "surrogateescape")
    return _MADE_UP
