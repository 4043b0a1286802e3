"""What a container states of a content — its digests, its checksum — against what was read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from forensics.errors import Problem, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

COMPARED = ("md5", "sha1", "sha256")


@runtime_checkable
class StatedStream(Protocol):
    """A stream of whose content its container states something.

    Attributes:
        stated: digests by algorithm ("md5", "sha1", "sha256"), lower-case hex; empty where it states none.
    """

    stated: Mapping[str, str]

    def checksum_failure(self) -> str:
        """After the stream was read once from start to end: how its checksum or its length fails; "" if it holds or there is none."""


@dataclass(frozen=True, slots=True)
class Computed:
    """Digests of a whole content, lower-case hex."""

    md5: str
    sha1: str
    sha256: str


def stated_problem(stream: object, computed: Computed) -> Problem | None:
    """The problem, if the content is not what its container states; None if it is, or the container states nothing.

    To be asked once the stream was read whole, from its start to its end. `path`, `volume` and the address are the caller's to add.
    """
    if not isinstance(stream, StatedStream):
        return None
    wrong = [
        f"{name.upper()} is {getattr(computed, name)}, stated is {stream.stated[name]}"
        for name in COMPARED
        if name in stream.stated and stream.stated[name] != getattr(computed, name)
    ]
    failure = stream.checksum_failure()
    if failure:
        wrong.append(failure)
    if not wrong:
        return None
    return Problem(
        stage=Stage.CONTENT,
        code="stated-digest-mismatch",
        what="the content of a file is not what its container states; it was processed as it is stored",
        why="; ".join(wrong),
        advice="the container was damaged or changed after it was made; go back to the original or to another copy of it",
    )
