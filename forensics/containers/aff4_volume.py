"""An AFF4 volume: a ZIP file whose members are streams, and information.turtle, which says what they are.

Only what AFF4 writers use of Turtle is read: prefixes, names, literals, lists of objects. Bounded in size and in statements.

References:
    AFF4 Standard 1.0 (Schatz, 2017); W3C, "RDF 1.1 Turtle", section 2.
"""

from __future__ import annotations

import re
import zipfile
from typing import TYPE_CHECKING, Self
from urllib.parse import quote, unquote

from forensics.boundary import attempt
from forensics.errors import ImageError, ImageReadError
from forensics.source import SourceStream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.source import ByteSource

AFF4 = "http://aff4.org/Schema#"
TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
_TURTLE = "information.turtle"
_MAX_TURTLE_BYTES = 64 << 20
_MAX_STATEMENTS = 2_000_000
_MAX_TOKENS = 4 * _MAX_STATEMENTS
_MAX_MEMBER_BYTES = 256 << 20
_TOKEN = re.compile(
    r"""\s+|\#[^\n]*
    |(?P<iri><[^<>"\s]*>)
    |(?P<text>\"\"\"(?:[^\"\\]|\\.|\"(?!\"\"))*\"\"\"|"(?:[^"\\\n]|\\.)*")(?:\^\^(?P<datatype><[^<>\s]*>|[\w.-]*:[\w.-]*)|@[\w-]+)?
    |(?P<directive>@prefix|@base)
    |(?P<punctuation>[;,.](?=\s|$)|[;,])
    |(?P<number>[+-]?\d+(?:\.\d+)?)
    |(?P<name>[\w.-]*:[\w/%.-]*[\w/%-]|[\w.-]*:|a(?=\s))
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "'": "'", "b": "\b", "f": "\f"}


class Literal(str):
    """A literal value with the IRI of its datatype; "" where it states none."""

    __slots__ = ("datatype",)
    datatype: str

    def __new__(cls, text: str, datatype: str = "") -> Self:
        """The text as a literal."""
        made = super().__new__(cls, text)
        made.datatype = datatype
        return made


Graph = dict[str, dict[str, list[str]]]


class Aff4Volume:
    """One AFF4 volume.

    Attributes:
        urn: its own name.
        graph: subject -> predicate -> objects, all as IRIs or literals.
    """

    def __init__(self, source: ByteSource, shown: str) -> None:
        """Opens it.

        Raises:
            ImageError: the ZIP is damaged, or information.turtle cannot be read.
        """
        self._shown = shown
        opened: list[zipfile.ZipFile] = []
        error = attempt(lambda: opened.append(zipfile.ZipFile(SourceStream(source))))
        if error is not None:
            message = f"{shown}: the ZIP of the AFF4 volume cannot be read: {error}"
            raise ImageError(message) from error
        self._zip = opened[0]
        self._names = {unquote(info.filename): info for info in self._zip.infolist()}
        self.urn = self._zip.comment.split(b"\0")[0].decode("utf-8", "replace").strip()
        if not self.urn.startswith("aff4://") and "container.description" in self._names:
            self.urn = self.read("container.description").decode("utf-8", "replace").strip()
        self.graph = parse_turtle(self.read(_TURTLE, most=_MAX_TURTLE_BYTES).decode("utf-8", "replace"), shown)

    def member(self, urn: str) -> zipfile.ZipInfo | None:
        """The member that holds the stream of that name; None if there is none."""
        own = urn.removeprefix(self.urn).lstrip("/") if urn.startswith(self.urn) else urn
        for name in (own, "/" + own, urn, quote(urn, safe="")):
            if name in self._names:
                return self._names[name]
        return None

    def read(self, urn: str, *, most: int = _MAX_MEMBER_BYTES) -> bytes:
        """All bytes of a member.

        Raises:
            ImageError: there is none, it is longer than `most` bytes, or damaged.
        """
        info = self._names.get(urn) or self.member(urn)
        if info is None or info.file_size > most:
            message = f"{self._shown}: the AFF4 volume has no member {urn!r}" if info is None else f"{self._shown}: {urn!r} is too long"
            raise ImageError(message)
        found: list[bytes] = []
        error = attempt(lambda: found.append(self._zip.read(info)))
        if error is not None:
            message = f"{self._shown}: the member {urn!r} of the AFF4 volume is damaged: {error}"
            raise ImageError(message) from error
        return found[0]

    def place(self, urn: str) -> tuple[int, int]:
        """Where in the file the bytes of a stored member lie: (first byte, length).

        Raises:
            ImageReadError: there is no such member, or it is compressed.
        """
        info = self.member(urn)
        if info is None or info.compress_type != zipfile.ZIP_STORED:
            message = f"the AFF4 volume has no stored member {urn!r}"
            raise ImageReadError(message)
        found: list[int] = []

        def look() -> None:
            with self._zip.open(info) as member:
                found.append(member._orig_compress_start)  # type: ignore[attr-defined]  # noqa: SLF001 - where the data begins is kept there only

        error = attempt(look)
        if error is not None:
            message = f"the member {urn!r} of the AFF4 volume cannot be read: {error}"
            raise ImageReadError(message) from error
        return found[0], info.file_size

    def subjects(self, kind: str) -> list[str]:
        """The subjects of a type of AFF4's schema, in the order in which they stand there."""
        return [name for name, facts in self.graph.items() if AFF4 + kind in facts.get(TYPE, ())]

    def value(self, subject: str, predicate: str) -> str | None:
        """The first value of a predicate of AFF4's schema; None if there is none."""
        return next(iter(self.graph.get(subject, {}).get(AFF4 + predicate, ())), None)

    def number(self, subject: str, predicate: str) -> int | None:
        """The same as a whole number; None if it is none."""
        value = self.value(subject, predicate)
        return int(value) if value is not None and value.isascii() and value.isdigit() and len(value) < 20 else None  # noqa: PLR2004 - 64 bits

    def digests(self, subject: str) -> dict[str, str]:
        """Linear digests that are stated of it, by algorithm, lower-case hex."""
        found = {}
        for value in self.graph.get(subject, {}).get(AFF4 + "hash", ()):
            name = getattr(value, "datatype", "").removeprefix(AFF4).lower()
            if name in ("md5", "sha1", "sha256"):
                found[name] = str(value).lower()
        return found


def parse_turtle(text: str, shown: str) -> Graph:
    """The statements of a Turtle document.

    Raises:
        ImageError: it is not of the form that AFF4 writers use, or has too many statements.
    """
    prefixes: dict[str, str] = {}
    graph: Graph = {}
    waiting: list[str] = []
    statements = 0
    for found in _tokens(text, shown):
        if found.group() in (";", ",", ".") and found.lastgroup == "punctuation":
            waiting.append(found.group())
            if found.group() == ".":
                statements += _take(waiting, prefixes, graph)
                waiting = []
                if statements > _MAX_STATEMENTS:
                    message = f"{shown}: information.turtle holds more than {_MAX_STATEMENTS} statements"
                    raise ImageError(message)
        else:
            waiting.append(_term(found, prefixes, is_prefix=waiting[:1] == ["@prefix"]))
    return graph


def _tokens(text: str, shown: str) -> Iterator[re.Match[str]]:
    at = count = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None or found.end() == at:
            message = f"{shown}: information.turtle cannot be read from character {at}"
            raise ImageError(message)
        if found.lastgroup is not None:
            count += 1
            if count > _MAX_TOKENS:
                message = f"{shown}: information.turtle holds more than {_MAX_TOKENS} words"
                raise ImageError(message)
            yield found
        at = found.end()


def _term(found: re.Match[str], prefixes: dict[str, str], *, is_prefix: bool) -> str:
    if found["text"] is not None:
        quotes = 3 if found["text"].startswith('"""') else 1
        inner = re.sub(r"\\(.)", lambda one: _ESCAPES.get(one[1], one[1]), found["text"][quotes:-quotes], flags=re.DOTALL)
        datatype = found["datatype"] or ""
        return Literal(inner, datatype[1:-1] if datatype.startswith("<") else _expanded(datatype, prefixes))
    if found["iri"] is not None:
        return found["iri"][1:-1]
    if found["number"] is not None:
        return Literal(found["number"])
    name = found.group()
    if found["directive"] is not None or (is_prefix and name.endswith(":")):
        return name
    return TYPE if name == "a" else _expanded(name, prefixes)


def _expanded(name: str, prefixes: dict[str, str]) -> str:
    prefix, _, local = name.partition(":")
    return prefixes[prefix] + local if prefix in prefixes else name


def _take(tokens: list[str], prefixes: dict[str, str], graph: Graph) -> int:
    """Adds one statement block, up to its full stop; how many statements it held."""
    if tokens[0] == "@prefix":
        if len(tokens) > 2:  # noqa: PLR2004 - name and IRI
            prefixes[tokens[1].rstrip(":")] = tokens[2]
        return 0
    count, subject, rest = 0, tokens[0], tokens[1:-1]
    facts = graph.setdefault(str(subject), {})
    predicate: str | None = None
    for term in rest:
        if term == ";" and not isinstance(term, Literal):
            predicate = None
        elif term == "," and not isinstance(term, Literal):
            continue
        elif predicate is None:
            predicate = str(term)
        else:
            facts.setdefault(predicate, []).append(term)
            count += 1
    return count
