"""Rule files to a compiled rule set with its digest, and a content to its matches. The only module that knows YARA.

Rules that hold here:
  1. A rule file that does not compile is named with YARA's reason and left out; the others stay.
  2. Each file is a namespace of its own, so equal rule names do not collide and a global rule acts on its own file only.
  3. `include` is off: a rule file cannot read other files of the machine that examines.
  4. A file that compiles with no external variable defined cannot use any, so its hits depend on the content alone
     (`scan_content`, to be kept by digest); the others ask for a name or an owner (`scan_named`).
  5. A scan that did not reach its end raises; it never returns as one without hits.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import yara

from forensics.errors import Problem, RuleError, ScanError, ScanTimeoutError, Stage
from forensics.rule_externals import Externals
from forensics.rule_files import UsedFile, read_rule_files, rule_files_digest, rule_problem
from forensics.rule_match import MAX_MATCHED_BYTES, CappedString, cap_problem, matches_of
from forensics.scan_source import scan_buffer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from forensics.rule_files import RuleFile
    from forensics.rule_match import Match
    from forensics.scan_source import Source

    OnProblem = Callable[[Problem], None]

_NO_EXTERNALS = Externals().as_yara()
_INDEX = "rules.json"
_FORMAT = 1
_CLOCK = re.compile(r'^\s*import\s+"time"', re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RuleSet:
    """Compiled rules. Not picklable: another process takes them from the folder that `save` wrote.

    Attributes:
        content_rules: rules that look at the content alone; None if there are none.
        named_rules: rules of the files that use external variables; None if there are none.
        files: the rule files in use, in the byte order of their namespaces.
        engine: name and version of the engine that compiled them and scans.
    """

    content_rules: Any
    named_rules: Any
    files: tuple[UsedFile, ...]
    engine: str

    @property
    def digest(self) -> str:
        """Hex SHA-256 over the names and bytes of the rule files in use. The engine's version is not part of it."""
        return rule_files_digest((f.namespace, f.sha256) for f in self.files)

    @property
    def rule_count(self) -> int:
        """How many rules there are, private and global ones too."""
        return sum(f.rules for f in self.files)

    @property
    def warnings(self) -> tuple[tuple[str, str], ...]:
        """What the compiler warns of, as (namespace, text): mostly strings that slow a scan down."""
        return tuple((f.namespace, text) for f in self.files for text in f.warnings)

    def scan_content(self, source: Source, *, timeout_seconds: int, on_problem: OnProblem | None = None) -> tuple[Match, ...]:
        """The matches of the rules that look at the content alone, so equal contents have equal matches.

        Args:
            source: the content; a path is mapped into memory, never read into it whole.
            timeout_seconds: the longest the scan may take, at least 1.
            on_problem: is given a problem, without the item it belongs to, where YARA stopped counting instances.

        Returns:
            In the order of namespace, rule, offset and string; at most 64 a string.

        Raises:
            ScanTimeoutError: the scan took longer.
            ScanError: the content could not be opened, or YARA failed.
        """
        return _scan(self.content_rules, source, _NO_EXTERNALS, timeout_seconds, on_problem)

    def scan_named(
        self, source: Source, externals: Externals, *, timeout_seconds: int, on_problem: OnProblem | None = None
    ) -> tuple[Match, ...]:
        """The matches of the rules that ask for a name, type or owner; () at once when there are no such rules.

        Arguments, result and errors as for `scan_content`.
        """
        return _scan(self.named_rules, source, externals.as_yara(), timeout_seconds, on_problem)

    def save(self, folder: Path) -> None:
        """Writes the compiled rules into a folder, for `load` with the same engine."""
        folder.mkdir(parents=True, exist_ok=True)
        index: dict[str, Any] = {"format": _FORMAT, "engine": self.engine, "digest": self.digest, "compiled": {}}
        for name, rules in (("content", self.content_rules), ("named", self.named_rules)):
            if rules is not None:
                compiled = io.BytesIO()
                rules.save(file=compiled)
                (folder / f"{name}.yarc").write_bytes(compiled.getvalue())
                index["compiled"][name] = hashlib.sha256(compiled.getvalue()).hexdigest()
        index["files"] = [asdict(f) for f in self.files]
        (folder / _INDEX).write_text(json.dumps(index, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> RuleSet:
        """The rule set that `save` wrote. Compiled rules are code: load only what this run itself has saved.

        Raises:
            RuleError: it is not there, not whole, or of another engine.
        """
        try:
            index = json.loads((folder / _INDEX).read_bytes())
            loaded = cls(
                content_rules=_load_compiled(folder, "content", index["compiled"]),
                named_rules=_load_compiled(folder, "named", index["compiled"]),
                files=tuple(UsedFile(**(f | {"warnings": tuple(f["warnings"])})) for f in index["files"]),
                engine=engine_version(),
            )
            whole = (index["format"], index["engine"], index["digest"]) == (_FORMAT, loaded.engine, loaded.digest)
        except (OSError, ValueError, KeyError, TypeError, yara.Error) as error:
            message = f"compiled rules in {folder} cannot be loaded: {error}. Compile them again from the rule files"
            raise RuleError(message) from error
        if not whole:
            message = f"compiled rules in {folder} are of another version ({index['engine']}) or changed. Compile them again"
            raise RuleError(message)
        return loaded


def engine_version() -> str:
    """Name and version of the engine, e.g. "yara 4.5.4"; engines of different versions differ in some hits."""
    return f"yara {yara.YARA_VERSION}"


def load_rules(folders: Sequence[Path]) -> tuple[RuleSet, tuple[Problem, ...]]:
    """The rules of folders and single files, compiled, and a problem for each file that had to be left out.

    Raises:
        RuleError: a folder does not exist, or no rule is left.
    """
    files, left_out = read_rule_files(folders)
    problems = list(left_out)
    used = [one for file in files if (one := _used_file(file, problems)) is not None]
    if not used:
        why = "".join(f"; {problem.path}: {problem.why}" for problem in problems[:3])
        message = f"no usable rule in {', '.join(map(str, folders)) or 'no folder'}{why}"
        raise RuleError(message)
    texts = {file.namespace: file.text for file in files}
    content = {f.namespace: texts[f.namespace] for f in used if not f.uses_externals}
    named = {f.namespace: texts[f.namespace] for f in used if f.uses_externals}
    try:
        rule_set = RuleSet(
            content_rules=_compile(content, {}) if content else None,
            named_rules=_compile(named, _NO_EXTERNALS) if named else None,
            files=tuple(used),
            engine=engine_version(),
        )
    except yara.Error as error:
        message = f"the rule files compile one by one but not together: {error}. Give fewer rule folders"
        raise RuleError(message) from error
    return rule_set, tuple(problems)


def _used_file(file: RuleFile, problems: list[Problem]) -> UsedFile | None:
    """What one rule file gives, or None with a problem. Compiling each alone costs no more than finding the bad ones in all."""
    uses_externals = False
    try:
        rules = _compile({file.namespace: file.text}, {})
    except yara.Error:
        uses_externals = True
        try:
            rules = _compile({file.namespace: file.text}, _NO_EXTERNALS)
        except yara.Error as error:
            problems.append(rule_problem("rule-compile", file.namespace, str(error), "Correct the file, or leave it out."))
            return None
    count = sum(1 for _ in rules)
    if count == 0:
        problems.append(rule_problem("rule-empty", file.namespace, "it holds no rule", "Leave the file out."))
        return None
    if _CLOCK.search(file.text):
        problems.append(_clock_problem(file.namespace))
    return UsedFile(
        namespace=file.namespace, sha256=file.sha256, rules=count, uses_externals=uses_externals, warnings=tuple(rules.warnings)
    )


def _clock_problem(namespace: str) -> Problem:
    return Problem(
        stage=Stage.YARA,
        code="rule-clock",
        what=f"The hits of the rule file {namespace} can differ from one day to another.",
        why='it imports the module "time", which reads the clock of this computer, not of the evidence',
        advice="Leave the file out where a run must be repeatable.",
        path=namespace,
    )


def _compile(sources: Mapping[str, str], externals: Mapping[str, str]) -> Any:
    yara.set_config(max_match_data=MAX_MATCHED_BYTES)
    return yara.compile(sources=dict(sources), externals=dict(externals), includes=False)


def _load_compiled(folder: Path, name: str, digests: Mapping[str, str]) -> Any:
    if name not in digests:
        return None
    compiled = (folder / f"{name}.yarc").read_bytes()
    if hashlib.sha256(compiled).hexdigest() != digests[name]:
        message = f"{name}.yarc was changed"
        raise ValueError(message)
    yara.set_config(max_match_data=MAX_MATCHED_BYTES)
    return yara.load(file=io.BytesIO(compiled))


def _scan(
    rules: Any, source: Source, externals: Mapping[str, str], timeout_seconds: int, on_problem: OnProblem | None
) -> tuple[Match, ...]:
    if rules is None:
        return ()
    capped: set[CappedString] = set()

    def note_cap(_kind: int, where: Any) -> int:
        capped.add(CappedString(namespace=where.namespace, rule=where.rule, string=where.string))
        return int(yara.CALLBACK_CONTINUE)

    try:
        with scan_buffer(source) as data:
            found = rules.match(
                data=data,
                externals=dict(externals),
                timeout=timeout_seconds,
                fast=False,
                allow_duplicate_metadata=True,
                warnings_callback=note_cap,
                console_callback=_drop_console,
            )
    except yara.TimeoutError as error:
        message = f"the scan took longer than {timeout_seconds} s"
        raise ScanTimeoutError(message) from error
    except yara.Error as error:
        message = f"YARA could not scan the content: {error}"
        raise ScanError(message) from error
    if on_problem is not None:
        for string in sorted(capped):
            on_problem(cap_problem(string))
    return matches_of(found, capped)


def _drop_console(_text: str) -> None:
    """Takes what rules print through the module console: a rule has no business on the examiner's terminal."""
