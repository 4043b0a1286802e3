"""What a rule set found in one content, in the order in which it is kept.

Of each string of a rule the first 64 instances are kept, the first 128 bytes of each, and how many instances there are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from forensics.errors import Problem, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet

# What the table `hits` keeps of one string in one stream: rows, and bytes a row.
MAX_INSTANCE_ROWS = 64
MAX_MATCHED_BYTES = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One instance of one string of one rule, or one rule that matches without naming a string.

    Attributes:
        rule: name of the rule.
        namespace: its rule file.
        tags: its tags, in the rule's order.
        meta: its meta values as text, in the rule's order; values of a repeated key are one text, a line each.
        string: identifier of the string; None where the rule names none, or only private ones.
        offset: first byte of the instance in the content; None without a string.
        length: bytes of the instance; None without a string.
        matched: the first 128 of those bytes at the most; None without a string.
        instances: how many instances the string has in the content, also those that have no Match of their own; None
            without a string, and None where YARA stopped counting (1,000,000).
    """

    rule: str
    namespace: str
    tags: tuple[str, ...]
    meta: tuple[tuple[str, str], ...]
    string: str | None = None
    offset: int | None = None
    length: int | None = None
    matched: bytes | None = None
    instances: int | None = None


class CappedString(NamedTuple):
    """A string of a rule of which YARA stopped counting the instances."""

    namespace: str
    rule: str
    string: str


def matches_of(found: Iterable[Any], capped: AbstractSet[CappedString]) -> tuple[Match, ...]:
    """The matches of one scan in the order of namespace, rule, offset and string, whatever the order of the engine.

    Args:
        found: the engine's matches: one for each rule.
        capped: strings whose instances were not counted to the end.
    """
    return tuple(sorted((match for one in found for match in _matches_of_rule(one, capped)), key=_place))


def cap_problem(string: CappedString) -> Problem:
    """The problem of a string that was not counted to the end, without the item it belongs to."""
    return Problem(
        stage=Stage.YARA,
        code="too-many-matches",
        what=f"Not every instance of {string.string} of the rule {string.rule} ({string.namespace}) was counted.",
        why="YARA stops counting a string at 1,000,000 instances, and a condition on their number may be wrong then",
        advice="Make the string of the rule longer.",
    )


def _matches_of_rule(found: Any, capped: AbstractSet[CappedString]) -> Iterator[Match]:
    meta = tuple((key, "\n".join(map(_as_text, values))) for key, values in found.meta.items())
    whole = Match(rule=found.rule, namespace=found.namespace, tags=tuple(found.tags), meta=meta)
    # A private string is listed without instances.
    strings = [one for one in found.strings if one.instances]
    if not strings:
        yield whole
    for one in strings:
        is_capped = CappedString(found.namespace, found.rule, one.identifier) in capped
        for instance in one.instances[:MAX_INSTANCE_ROWS]:
            yield replace(
                whole,
                string=one.identifier,
                offset=instance.offset,
                length=instance.matched_length,
                matched=instance.matched_data[:MAX_MATCHED_BYTES],
                instances=None if is_capped else len(one.instances),
            )


def _as_text(value: str | int | bool) -> str:  # noqa: FBT001 -- a value of a rule's meta, not a switch
    return str(value).lower() if isinstance(value, bool) else str(value)


def _place(match: Match) -> tuple[str, str, int, str, int, bytes]:
    offset = -1 if match.offset is None else match.offset
    return (match.namespace, match.rule, offset, match.string or "", match.length or 0, match.matched or b"")
