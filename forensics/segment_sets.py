"""Which files lie beside the named one and make up one image with it, by their names; and which is missing.

Split raw: an extension that counts, `.000`/`.001`, … or `.aa`, `.ab`, …; every number from the first to the last must be there.
EWF: `.E01` to `.E99`, then `.EAA`, `.EAB`, … `.EZZ`, `.FAA`, … `.ZZZ` (EWF specification, "Segment file extensions"); the same for
`.S01` (SMART) and in lower case. EWF 2: `.Ex01` to `.Ex99`, then `.ExAA`, … `.EzZZ` (EWF 2 specification, section of that name).
Logical evidence likewise: `.L01`, … `.LAA`, …; `.Lx01`, … `.LxAA`, …; AD1: `.ad1`, `.ad2`, … without end.
"""

from __future__ import annotations

import os
import re
import string
from itertools import count, islice, product, takewhile
from typing import TYPE_CHECKING

from forensics.errors import ImageError, Problem, SegmentMissingError, Stage
from forensics.exhibit import shown
from forensics.names import display_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

_DIGITS = re.compile(r"[0-9]{2,5}")
_LETTERS = re.compile(r"[a-z]{2,3}|[A-Z]{2,3}")
_EWF = re.compile(r"[EeSs](?:[0-9]{2})")
_EWF2 = re.compile(r"[Ee][Xx][0-9]{2}|[Ee][XYZxyz][A-Za-z]{2}")
_L01 = re.compile(r"[Ll][0-9]{2}|[Ll][A-Za-z]{2}")
_NUMBERED_L01 = re.compile(r"[Ll][0-9]{2}")
_LX01 = re.compile(r"[Ll][Xx][0-9]{2}|[Ll][XYZxyz][A-Za-z]{2}")
_AD1 = re.compile(r"[Aa][Dd]([1-9][0-9]{0,4})")
_EWF_LATER = re.compile(r"[E-Ze-z][A-Za-z][A-Za-z]")
_ALPHABET = 26
_LAST_NUMBER = 99
_MAX_SEGMENTS = 99 + 22 * 26 * 26
_MAX_L01_SEGMENTS = 99 + 26 * 26


def companions(name: str, others: Iterable[str]) -> tuple[str, ...]:
    """Which of the other files of a folder are named as segments of the same set as the file.

    Numbered extensions alone count (.001, .E01, .Ex01, .L01, .Lx01, .ad1) and, behind .E99 and its like, those of three letters.
    """
    stem, _, extension = name.rpartition(".")
    family = next((one for one in (_DIGITS, _EWF, _EWF2, _NUMBERED_L01, _LX01, _AD1) if stem and one.fullmatch(extension)), None)
    if family is None:
        return ()
    alike = [other for other in others if other != name and other.rpartition(".")[0] == stem]
    same = [one for one in alike if family.fullmatch(one.rpartition(".")[2]) and (family is _AD1 or len(one) == len(name))]
    if family is _EWF:  # E01 and S01 are two images
        same = [one for one in same if one[len(stem) + 1].upper() == extension[0].upper()]
    if family is _DIGITS and not any(int(one.rpartition(".")[2]) in (0, 1) for one in (name, *same)):
        return ()  # a year, a version
    if family in (_EWF, _NUMBERED_L01) and any(one.endswith("99") for one in same):
        same += [one for one in alike if _EWF_LATER.fullmatch(one.rpartition(".")[2])]
    return tuple(sorted(same))


def split_raw_set(path: Path) -> tuple[tuple[Path, ...], tuple[Problem, ...]]:
    """The segments of the split raw image that `path` belongs to, in order; `path` alone if its name does not count.

    Raises:
        SegmentMissingError: a number between others is missing; the message names the file.
    """
    extension = path.suffix[1:]
    number_of = _numbering(extension)
    if number_of is None:
        return (path,), ()
    present = {number_of(name): name for name in _siblings(path, len(extension)) if number_of(name) is not None}
    numbers = sorted(number for number in present if number is not None)
    if len(numbers) == 1:
        return (path,), _alone(path, numbers[0]) if extension.isdigit() else ()
    if not extension.isdigit():
        numbers = _counted(numbers)
        if number_of(extension) not in numbers:
            return (path,), ()
    first = 0 if numbers[0] == 0 else 1
    for expected, number in zip(count(first), numbers, strict=False):
        if number != expected:
            missing = path.with_suffix("." + _extension(expected, extension))
            message = (
                f"{shown(path)}: segment {shown(missing)} is missing, .{present[numbers[-1]]} is there; put all segments into one folder"
            )
            raise SegmentMissingError(message)
    return tuple(path.with_suffix("." + present[number]) for number in numbers), ()


def is_ewf_name(path: Path) -> bool:
    """Whether the name is one that segments of an EWF image have."""
    return _EWF.fullmatch(path.suffix[1:]) is not None


def ewf_set(path: Path) -> tuple[Path, ...]:
    """The segments of the EWF image that `path` belongs to, in order, as far as they follow without a gap.

    Raises:
        SegmentMissingError: a later segment lies there and one before it does not; the message names it.
    """
    extension = path.suffix[1:]
    if not (_EWF.fullmatch(extension) or _EWF_LATER.fullmatch(extension)):
        return (path,)
    letter = extension[0] if _EWF.fullmatch(extension) else "e"
    return _contiguous(path, list(islice(_ewf_extensions(letter.upper()), _MAX_SEGMENTS)))


def ewf2_set(path: Path) -> tuple[Path, ...]:
    """The segments of the EWF 2 image that `path` belongs to, in order, as far as they follow without a gap.

    Raises:
        SegmentMissingError: a later segment lies there and one before it does not; the message names it.
    """
    return _contiguous(path, list(_ewf2_extensions())) if _EWF2.fullmatch(path.suffix[1:]) else (path,)


def next_ewf2_name(path: Path, number: int) -> str:
    """The name that segment `number` (1 is the first) has in the EWF 2 set of `path`; empty if the name does not count."""
    extension = next(islice(_ewf2_extensions(), number - 1, None), "") if _EWF2.fullmatch(path.suffix[1:]) else ""
    return path.with_suffix("." + _in_case_of(path, extension)).name if extension else ""


def l01_set(path: Path) -> tuple[Path, ...]:
    """The segments of the L01 or Lx01 image that `path` belongs to, in order, as far as they follow without a gap.

    Raises:
        SegmentMissingError: a later segment lies there and one before it does not; the message names it.
    """
    wanted = _l01_extensions(path)
    return _contiguous(path, wanted) if wanted else (path,)


def next_l01_name(path: Path, number: int) -> str:
    """The name that segment `number` (1 is the first) has in the L01 or Lx01 set of `path`; empty if the name does not count."""
    wanted = _l01_extensions(path)
    return path.with_suffix("." + _in_case_of(path, wanted[number - 1])).name if 0 < number <= len(wanted) else ""


def _l01_extensions(path: Path) -> list[str]:
    extension = path.suffix[1:]
    if _LX01.fullmatch(extension):
        return list(_ewf2_extensions("L"))
    return list(islice(_ewf_extensions("L"), _MAX_L01_SEGMENTS)) if _L01.fullmatch(extension) else []


def ad1_set(path: Path) -> tuple[Path, ...]:
    """The segments of the AD1 image that `path` belongs to, in order.

    Raises:
        SegmentMissingError: a number between others is missing; the message names the file.
    """
    if not _AD1.fullmatch(path.suffix[1:]):
        return (path,)
    # Names of the same case as the one given win, where both lie there.
    names = sorted(_names_beside(path), key=lambda name: name.islower() == path.suffix.islower())
    present = {int(found[1]): name for name in names if (found := _AD1.fullmatch(name))}
    for number in range(1, len(present) + 1):
        if number not in present:
            message = (
                f"{shown(path)}: segment {shown(path.with_name(next_ad1_name(path, number)))} is missing, "
                f".{present[max(present)]} is there; put all segments into one folder"
            )
            raise SegmentMissingError(message)
    return tuple(path.with_suffix("." + present[number]) for number in sorted(present))


def next_ad1_name(path: Path, number: int) -> str:
    """The name that segment `number` (1 is the first) has in the AD1 set of `path`; empty if the name does not count."""
    if not _AD1.fullmatch(path.suffix[1:]):
        return ""
    return path.with_suffix(f"{path.suffix[:3]}{number}").name


def _contiguous(path: Path, wanted: Sequence[str]) -> tuple[Path, ...]:
    """The files beside `path` with the extensions `wanted`, from the first to the last before a gap; case does not count."""
    extension = path.suffix[1:]
    # Names of the same case as the one given win, where both lie there.
    names = sorted(_siblings(path, len(extension)), key=lambda name: name.islower() == extension.islower())
    by_upper = {name.upper(): name for name in names}
    there = list(takewhile(lambda name: name.upper() in by_upper, wanted))
    # What counts as a later segment: letters are also words (.log, .raw, .txt), so only those that would come soon.
    reach = _LAST_NUMBER if len(there) < _LAST_NUMBER - 1 else len(there) + _ALPHABET
    later = [name for name in wanted[len(there) : reach] if name.upper() in by_upper]
    if later:
        missing = path.with_suffix("." + _in_case_of(path, wanted[len(there)]))
        message = (
            f"{shown(path)}: segment {shown(missing)} is missing, .{by_upper[later[0].upper()]} is there; put all segments into one folder"
        )
        raise SegmentMissingError(message)
    return tuple(path.with_suffix("." + by_upper[name.upper()]) for name in there)


def _in_case_of(path: Path, extension: str) -> str:
    return extension.lower() if path.suffix.islower() else extension


def next_ewf_name(path: Path, number: int) -> str:
    """The name that segment `number` (1 is the first) has in the set of `path`; empty if the name does not count."""
    if not is_ewf_name(path):
        return ""
    for at, extension in zip(count(1), _ewf_extensions(path.suffix[1].upper()), strict=False):
        if at == number:
            return path.with_suffix("." + _in_case_of(path, extension)).name
    return ""


def _ewf_extensions(letter: str) -> Iterator[str]:
    for number in range(1, _LAST_NUMBER + 1):
        yield f"{letter}{number:02}"
    letters = string.ascii_uppercase
    for first, second, third in product(letters[letters.index(letter) :], letters, letters):
        yield first + second + third


def _ewf2_extensions(letter: str = "E") -> Iterator[str]:
    for number in range(1, _LAST_NUMBER + 1):
        yield f"{letter}x{number:02}"
    letters = string.ascii_uppercase
    for first, second, third in product("xyz", letters, letters):
        yield f"{letter}{first}{second}{third}"


def _siblings(path: Path, length: int) -> list[str]:
    """The extensions, of that many characters, of the files in the folder that differ from `path` in nothing else."""
    return [name for name in _names_beside(path) if len(name) == length]


def _names_beside(path: Path) -> list[str]:
    """The extensions of the files in the folder that differ from `path` in nothing else."""
    prefix = path.stem + "."
    try:
        names = os.listdir(path.parent)  # noqa: PTH208 - names are compared as they are, folders may be large
    except OSError as error:
        message = f"{shown(path)}: its folder cannot be listed, so its segments cannot be found: {error.strerror}"
        raise ImageError(message) from error
    return [name[len(prefix) :] for name in names if name.startswith(prefix)]


def _numbering(extension: str) -> Callable[[str], int | None] | None:
    if _DIGITS.fullmatch(extension):
        return lambda text: int(text) if _DIGITS.fullmatch(text) else None
    if _LETTERS.fullmatch(extension):
        first = ord("a" if extension.islower() else "A")
        return lambda text: _letters_value(text, first) if _LETTERS.fullmatch(text) and text.islower() == extension.islower() else None
    return None


def _counted(numbers: list[int]) -> list[int]:
    """The numbers that belong to one run from "aa"; .dd, .log and .txt are words, far from any segment that is there."""
    kept: list[int] = []
    for number in numbers:
        if number - (kept[-1] if kept else 0) <= _ALPHABET and (kept or number == 0):
            kept.append(number)
    return kept


def _letters_value(text: str, first: int) -> int:
    value = 0
    for character in text:
        value = value * _ALPHABET + ord(character) - first
    return value


def _extension(number: int, like: str) -> str:
    if like.isdigit():
        return f"{number:0{len(like)}}"
    first, text = ord("a" if like.islower() else "A"), ""
    for _ in like:
        number, rest = divmod(number, _ALPHABET)
        text = chr(first + rest) + text
    return text


def _alone(path: Path, number: int) -> tuple[Problem, ...]:
    return (
        Problem(
            stage=Stage.IMAGE,
            code="segment-alone",
            what="The image is named like one segment of a set, and no other segment lies beside it; it may not be the whole media.",
            why=f"the extension .{path.suffix[1:]} says segment {number}, and a raw segment does not say how many there are",
            advice="Compare its size with the acquisition notes; put all segments into one folder.",
            path=display_path(os.fsencode(path.name))[0],
        ),
    )
