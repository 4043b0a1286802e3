"""Which rule files there are, read once: name, bytes, digest. Nothing here knows YARA.

Rules that hold here:
  1. A folder gives its `*.yar` and `*.yara` files, at any depth, in the byte order of their paths; a file gives itself.
  2. A link inside a folder is never followed: what a rule set consists of is decided by the folder, not by what it points to.
  3. A file's namespace is its path inside its folder; where two folders would give the same one, every namespace starts
     with a short name of its folder. It never holds the place where the folder lies, so equal folders give equal digests.
  4. A file that is left out is a problem, never silence.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.errors import Problem, RuleError, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

RULE_SUFFIXES = (".yar", ".yara")
# The largest public collections come as one file of about 30 MB; what is beyond this is no rule file.
MAX_RULE_FILE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFile:
    """One rule file as read.

    Attributes:
        namespace: path inside the rule folder, "/" between names.
        sha256: SHA-256 of its bytes, hex.
        text: the bytes as UTF-8 without a byte-order mark, which YARA refuses.
    """

    namespace: str
    sha256: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedFile:
    """One rule file of a rule set.

    Attributes:
        namespace: path inside the rule folder, "/" between names.
        sha256: SHA-256 of its bytes, hex.
        rules: how many rules it has, private and global ones too.
        uses_externals: whether any of them asks for a name, type or owner.
        warnings: what the compiler says, mostly of strings that slow a scan down.
    """

    namespace: str
    sha256: str
    rules: int
    uses_externals: bool
    warnings: tuple[str, ...]


def read_rule_files(places: Sequence[Path]) -> tuple[tuple[RuleFile, ...], tuple[Problem, ...]]:
    """The rule files of folders and single files, in the byte order of their namespaces, and what was left out.

    A file that is reached twice, through overlapping places, is read once: under the first.

    Raises:
        RuleError: a place does not exist, is neither folder nor file, or holds no rule file.
    """
    problems: list[Problem] = []
    found = _found(places, problems)
    files: dict[str, RuleFile] = {}
    for namespace, path in _named(found):
        if namespace in files:
            problems.append(
                rule_problem("rule-name", namespace, "another file has the same name once it is made readable", "Rename the file.")
            )
        elif (file := _read(namespace, path, problems)) is not None:
            files[namespace] = file
    return tuple(sorted(files.values(), key=lambda f: f.namespace.encode())), tuple(problems)


def rule_files_digest(files: Iterable[tuple[str, str]]) -> str:
    """Hex SHA-256 over the lines `namespace NUL sha256 LF`, in the byte order of the namespaces.

    Args:
        files: namespace and hex SHA-256 of the bytes of each rule file that is in use.
    """
    total = hashlib.sha256()
    for namespace, sha256 in sorted(files, key=lambda f: f[0].encode()):
        total.update(b"%s\0%s\n" % (namespace.encode(), sha256.encode("ascii")))
    return total.hexdigest()


def rule_problem(code: str, namespace: str, why: str, advice: str) -> Problem:
    """The problem row of a rule file that is left out."""
    what = f"The rule file {namespace} is not used: nothing was searched for with it."
    return Problem(stage=Stage.YARA, code=code, what=what, why=why, advice=advice, path=namespace)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """One folder or file as the examiner named it, with the rule files found in it as (path inside it, path)."""

    label: str
    files: tuple[tuple[str, Path], ...]


def _found(places: Sequence[Path], problems: list[Problem]) -> tuple[_Place, ...]:
    seen: set[Path] = set()
    labels: set[str] = set()
    found = []
    for place in places:
        inside_place = _rule_files_of(place, problems)
        if not inside_place:
            raise RuleError(_nothing_found(place, problems))
        fresh = []
        for inside, path in inside_place:
            real = path.resolve()
            if real not in seen:
                seen.add(real)
                fresh.append((inside, path))
        if fresh:
            found.append(_Place(label=_label(place, labels), files=tuple(fresh)))
    return tuple(found)


def _label(place: Path, labels: set[str]) -> str:
    """The folder's own name, made unique by a number; it holds no "/", so label and path together stay unambiguous."""
    folder = place.resolve()
    name = _readable((folder if folder.is_dir() else folder.parent).name or "rules")
    label, number = name, 1
    while label in labels:
        number += 1
        label = f"{name}~{number}"
    labels.add(label)
    return label


def _named(places: Sequence[_Place]) -> Iterator[tuple[str, Path]]:
    names = [inside for place in places for inside, _ in place.files]
    shared = len(set(names)) < len(names) and len(places) > 1
    for place in places:
        for inside, path in place.files:
            yield (f"{place.label}/{inside}" if shared else inside), path


def _rule_files_of(place: Path, problems: list[Problem]) -> list[tuple[str, Path]]:
    try:
        mode = place.stat().st_mode
    except OSError as error:
        message = f"rule folder {place}: {error.strerror}. Check the path given with --rules"
        raise RuleError(message) from error
    if stat.S_ISREG(mode):
        return [(_readable(place.name), place)]
    if not stat.S_ISDIR(mode):
        message = f"{place} is neither a rule folder nor a rule file"
        raise RuleError(message)
    found: list[tuple[str, Path]] = []
    waiting = [place]
    while waiting:
        folder = waiting.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError as error:
            inside = _inside(place, folder) or "."
            problems.append(rule_problem("rule-unreadable", inside, str(error.strerror), "Give read permission to the folder."))
            continue
        for entry in entries:
            path = folder / entry.name
            if entry.is_dir(follow_symlinks=False):
                waiting.append(path)
            elif _is_left_out(place, entry, problems):
                continue
            elif entry.name.lower().endswith(RULE_SUFFIXES):
                found.append((_inside(place, path), path))
    return sorted(found, key=lambda f: os.fsencode(f[1].relative_to(place).as_posix()))


def _is_left_out(place: Path, entry: os.DirEntry[str], problems: list[Problem]) -> bool:
    """Whether a directory entry is not to be read, with a problem when it could have been meant as rules."""
    is_rule_name = entry.name.lower().endswith(RULE_SUFFIXES)
    if entry.is_symlink() and (is_rule_name or Path(entry.path).is_dir()):
        advice = "Name the folder that it points to as a rule folder of its own."
        problems.append(rule_problem("rule-link", _inside(place, Path(entry.path)), "it is a link, and links are not followed", advice))
        return True
    if is_rule_name and not entry.is_file(follow_symlinks=False):
        problems.append(rule_problem("rule-unreadable", _inside(place, Path(entry.path)), "it is no regular file", "Remove it."))
        return True
    return False


def _read(namespace: str, path: Path, problems: list[Problem]) -> RuleFile | None:
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_RULE_FILE_BYTES + 1)
    except OSError as error:
        problems.append(rule_problem("rule-unreadable", namespace, str(error.strerror), "Give read permission to the file."))
        return None
    if len(raw) > MAX_RULE_FILE_BYTES:
        why = f"it is larger than {MAX_RULE_FILE_BYTES} bytes"
        problems.append(rule_problem("rule-too-large", namespace, why, "Split the file."))
        return None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        why = f"it is not UTF-8: {error.reason} at byte {error.start}"
        problems.append(rule_problem("rule-not-utf8", namespace, why, "Store the file as UTF-8."))
        return None
    if "\0" in text:
        # YARA would take the text up to the NUL for the whole file and leave out the rules after it without a word.
        problems.append(rule_problem("rule-not-utf8", namespace, f"NUL at character {text.index(chr(0))}", "Store the file as UTF-8."))
        return None
    return RuleFile(namespace=namespace, sha256=hashlib.sha256(raw).hexdigest(), text=text)


def _inside(place: Path, path: Path) -> str:
    return "" if path == place else _readable(path.relative_to(place).as_posix())


def _readable(name: str) -> str:
    r"""A name as UTF-8 text; bytes that are not UTF-8 as \xNN."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _nothing_found(place: Path, problems: Sequence[Problem]) -> str:
    left_out = "".join(f"; {problem.path}: {problem.why}" for problem in problems[:3])
    return f"no rule file (*.yar, *.yara) in {place}{left_out}. Name a folder that holds rules with --rules"
