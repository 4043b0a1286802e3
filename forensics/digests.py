"""The media's digests in one read, and whether they are what the image and the examiner state.

Law: the digests do not depend on how the media is cut into blocks.
"""

from __future__ import annotations

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from forensics.errors import ForensicsError, Problem, Stage
from forensics.media import Damage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from forensics.exhibit import StatedDigests
    from forensics.image import Image

_ALGORITHM_BY_LENGTH = {32: "md5", 40: "sha1", 64: "sha256"}
_MAX_RANGES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaDigests:
    """The digests of all bytes of the media, lower-case hex, and what was damaged among them.

    Attributes:
        problems: one for each contiguous damaged range, in order. There the digests cover what the container stores, or zeros
            where nothing can be read, so they cannot equal those of the acquired media.
        damaged_chunks: chunks of the container whose checksum fails.
    """

    md5: str
    sha1: str
    sha256: str
    problems: tuple[Problem, ...]
    damaged_chunks: int


class Verdict(StrEnum):
    """What comparing digests gave."""

    MATCH = "match"
    MISMATCH = "mismatch"
    NOT_STATED = "not stated"


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestCheck:
    """One stated digest beside the computed one: who states it ("image" or "examiner"), the algorithm, both in lower-case hex."""

    by: str
    algorithm: str
    stated: str
    computed: str

    @property
    def agrees(self) -> bool:
        """Whether they are equal."""
        return self.stated == self.computed


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestMatch:
    """All checks that could be made. One that disagrees makes a mismatch; none at all means not stated."""

    checks: tuple[DigestCheck, ...]

    @property
    def verdict(self) -> Verdict:
        """match, mismatch, or not stated."""
        if not self.checks:
            return Verdict.NOT_STATED
        return Verdict.MATCH if all(check.agrees for check in self.checks) else Verdict.MISMATCH


def digest_media(image: Image, *, on_bytes: Callable[[int], None]) -> MediaDigests:
    """The media's digests and damage, from one read of all of it.

    Args:
        image: the image.
        on_bytes: called with the number of bytes read since the last call; what it raises ends the read.
    """
    digests = (hashlib.md5(usedforsecurity=False), hashlib.sha1(usedforsecurity=False), hashlib.sha256())
    damage: list[Damage] = []
    chunks = 0
    with ThreadPoolExecutor(len(digests), thread_name_prefix="digest") as pool:
        for block in image.iter_blocks():
            # hashlib lets go of the interpreter lock; the reader prepares the next block meanwhile.
            for done in [pool.submit(digest.update, block.data) for digest in digests]:
                done.result()
            chunks += sum(one.chunks for one in block.damage if one.code == "chunk-checksum")
            _add_ranges(damage, block.damage)
            on_bytes(len(block.data))
    md5, sha1, sha256 = (digest.hexdigest() for digest in digests)
    return MediaDigests(md5=md5, sha1=sha1, sha256=sha256, problems=_problems(damage, image.sector_size), damaged_chunks=chunks)


def compare_digests(stated: StatedDigests, expected: str | None, computed: MediaDigests) -> DigestMatch:
    """The computed digests beside those that the image states and the one that the examiner expects.

    Raises:
        ForensicsError: `expected` is no MD5, SHA-1 or SHA-256.
    """
    checks = [
        DigestCheck(by="image", algorithm=algorithm, stated=value.lower(), computed=getattr(computed, algorithm))
        for algorithm, value in (("md5", stated.md5), ("sha1", stated.sha1))
        if value is not None
    ]
    if expected is not None:
        algorithm, value = parse_expected(expected)
        checks.append(DigestCheck(by="examiner", algorithm=algorithm, stated=value, computed=getattr(computed, algorithm)))
    return DigestMatch(checks=tuple(checks))


def parse_expected(text: str) -> tuple[str, str]:
    """The algorithm, told by the length, and the digest in lower-case hex. Blanks, colons and the algorithm's name in front are let pass.

    Raises:
        ForensicsError: it is no MD5, SHA-1 or SHA-256, or the name in front contradicts the length.
    """
    named = re.match(r"\s*(md5|sha-?1|sha-?256)\s*[:=]\s*", text, re.IGNORECASE)
    digits = re.sub(r"[\s:-]", "", text[named.end() :] if named else text).lower()
    algorithm = _ALGORITHM_BY_LENGTH.get(len(digits))
    if algorithm is None or not re.fullmatch(r"[0-9a-f]+", digits):
        message = f"{text!r} is no digest: MD5 has 32 hexadecimal digits, SHA-1 has 40, SHA-256 has 64"
        raise ForensicsError(message)
    if named and named.group(1).lower().replace("-", "") != algorithm:
        message = f"{text!r} is called {named.group(1)}, but {len(digits)} digits make a digest by {algorithm}"
        raise ForensicsError(message)
    return algorithm, digits


def _add_ranges(ranges: list[Damage], found: Iterable[Damage]) -> None:
    """Joins what is contiguous and of one kind."""
    for one in found:
        last = ranges[-1] if ranges else None
        if last is not None and last.code == one.code and last.start_byte + last.size_bytes == one.start_byte:
            ranges[-1] = Damage(
                start_byte=last.start_byte,
                size_bytes=last.size_bytes + one.size_bytes,
                code=one.code,
                why=last.why,
                chunks=last.chunks + one.chunks,
            )
        else:
            ranges.append(one)


def _problems(ranges: list[Damage], sector_size: int) -> tuple[Problem, ...]:
    problems = [_problem(one, sector_size) for one in ranges[:_MAX_RANGES]]
    if len(ranges) > _MAX_RANGES:
        rest = ranges[_MAX_RANGES:]
        problems.append(
            Problem(
                stage=Stage.IMAGE,
                code="damage-more",
                what=f"{len(rest)} more ranges of the media are damaged, from byte {rest[0].start_byte} on.",
                why=f"only the first {_MAX_RANGES} have a row of their own",
                start_byte=rest[0].start_byte,
                size_bytes=sum(one.size_bytes for one in rest),
            )
        )
    return tuple(problems)


def _problem(damage: Damage, sector_size: int) -> Problem:
    first = damage.start_byte // sector_size
    last = (damage.start_byte + damage.size_bytes - 1) // sector_size
    told = "are damaged" if damage.code == "chunk-checksum" else "cannot be read"
    many = f"{damage.chunks} chunks, the first " if damage.chunks > 1 else "the chunk " if damage.chunks else ""
    return Problem(
        stage=Stage.IMAGE,
        code=damage.code,
        what=f"Sectors {first} to {last} of the media {told}; what is read from there is refused.",
        why=many + damage.why,
        advice="Use another copy of the image, or acquire the media again.",
        start_byte=damage.start_byte,
        size_bytes=damage.size_bytes,
    )
