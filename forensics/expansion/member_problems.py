"""Why the content of a member is not there, as a Problem with one code a reason; the walk folds equal codes of one container."""

from __future__ import annotations

from forensics.errors import Problem, Stage

MEMBER_ENCRYPTED = "member-encrypted"
MEMBER_UNSUPPORTED = "member-unsupported"
MEMBER_OVERLAPS = "member-overlaps"
MEMBER_ELSEWHERE = "member-elsewhere"


def encrypted(what: str, tried: int) -> Problem:
    """An encrypted member that none of the `tried` credentials opens."""
    return Problem(
        stage=Stage.CONTENT,
        code=MEMBER_ENCRYPTED,
        what=f"{what} is encrypted; it was listed, its content was not read",
        why="no passphrase was given" if not tried else f"none of the {tried} passphrases given opens it",
        advice="state the passphrase in the credentials file and run again",
    )


def encrypted_unsupported(what: str, why: str) -> Problem:
    """An encrypted member of a kind that nothing here can decrypt, whatever passphrase is known."""
    return Problem(
        stage=Stage.CONTENT,
        code=MEMBER_ENCRYPTED,
        what=f"{what} is encrypted; it was listed, its content was not read",
        why=why,
        advice="extract the container and decrypt it with the program that made it",
    )


def unsupported(what: str, why: str) -> Problem:
    """A member whose compression or form is not read here."""
    return Problem(
        stage=Stage.CONTENT,
        code=MEMBER_UNSUPPORTED,
        what=f"{what} was listed, its content was not read",
        why=why,
        advice="extract the container and read it with another tool",
    )


def overlaps(what: str) -> Problem:
    """A member that shares stored bytes with another, as archives made to exhaust a reader do."""
    return Problem(
        stage=Stage.CONTENT,
        code=MEMBER_OVERLAPS,
        what=f"{what} was listed, its content was not read",
        why="it shares its stored bytes with another member, which no ordinary program writes",
        advice="look at the container's directory with another tool; it was made by hand or is damaged",
    )


def in_another_part(what: str, parts: int) -> Problem:
    """A member of an archive in several files of which only the last is at hand."""
    return Problem(
        stage=Stage.CONTENT,
        code=MEMBER_ELSEWHERE,
        what=f"{what} was listed, its content was not read",
        why=f"the archive is in {parts} files, of which each is read by itself here; this one is the last and lists what is in all",
        advice="extract all of its files (.z01, .z02, …, .zip) and join them, e.g. with zip -s 0",
    )


def damaged(what: str, why: str, *, start_byte: int | None = None, size_bytes: int | None = None) -> Problem:
    """A part of a container that could not be read."""
    return Problem(
        stage=Stage.CONTENT,
        code="container-damaged",
        what=what,
        why=why,
        advice="what was read before is kept; try another tool on the container",
        start_byte=start_byte,
        size_bytes=size_bytes,
    )


def trailing(name: str, start_byte: int, size_bytes: int) -> Problem:
    """Bytes behind the end of what a container's format describes; something may be hidden there."""
    return Problem(
        stage=Stage.CONTENT,
        code="trailing-data",
        what=f"{name}: {size_bytes} bytes lie behind the end of the compressed data",
        why="they are not of the container's format",
        advice="look at them by themselves: something may be hidden there",
        start_byte=start_byte,
        size_bytes=size_bytes,
    )
