"""The depth-first walk through everything inside one container file, within bounds.

For each member the walk calls `consume` once, with the member's bytes as blocks that come once and in order. What `consume` gives
back, a seekable copy with its type, is opened in turn before the container's next member is asked for. So every member is spooled
once at most, nothing is ever sought inside a compressed stream, and no more copies lie about at once than containers are nested.

What is recorded, and how often:
    a bound that bites          one Problem on the outermost container, code "expansion-limit"
    members without content     one Problem a container and code, saying how many; each such Item carries its own Problem as a flag
    what an opener reports      as it comes, `path` set to where it is
    a container unreadable      one Problem, code "container-unreadable"
Content that proves damaged while it is read raises ArchiveError in `consume`, whose caller records it with the item.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from forensics.errors import ArchiveError, Problem, Stage
from forensics.expansion.base import END_BYTES
from forensics.expansion.bounds import Account, Bounds, ExpansionLimitError
from forensics.expansion.choice import choose
from forensics.expansion.guard import guarded
from forensics.expansion.kinds import ALL_OPENERS
from forensics.names import display_path

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from typing import BinaryIO

    from forensics.credentials import Credential
    from forensics.expansion.base import Member, Opener


SEPARATOR = b"//"
"""Between the path of a container and that of a member in it."""

# What split archives are called: a.7z.001, a.part1.rar, a.r00, a.z01.
_PART = re.compile(r"\.(?:7z|zip|rar|tar|gz)\.\d{3}$|\.part\d+\.rar$|\.[rz]\d\d$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A content that may be a container.

    Attributes:
        file: all of it, seekable, open for reading.
        size: its size in bytes.
        head: its first MiB, or all if shorter.
        mime_type: its MIME type by libmagic.
        name: its name, escaped.
        let_go: called when the walk is done with what `consume` gave it; never for the outermost.
    """

    file: BinaryIO
    size: int
    head: bytes
    mime_type: str
    name: str
    let_go: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step from a container to a member: the kind of container, the member's address and its path in it."""

    opener: str
    address: str
    path: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One member, at any depth.

    Attributes:
        steps: the way from the outermost container to it.
        member: what the innermost container states of it. Read `blocks` below, not its own, which are not counted.
        blocks: its bytes, once, in order; None where there are none to read. Iterating raises ArchiveError where they are damaged,
            and ExpansionLimitError where a bound was reached, which the walk records itself.
        is_cut: whether a bound keeps its content from being read at all.
    """

    steps: tuple[Step, ...]
    member: Member
    blocks: Iterator[bytes] | None
    is_cut: bool = False

    @property
    def path(self) -> bytes:
        """Path from the outermost container, "/" between all names."""
        return b"/".join(step.path for step in self.steps)

    @property
    def address(self) -> str:
        """The chain of addresses, e.g. "zip entry 3 > tar offset 1024"."""
        return " > ".join(f"{step.opener} {step.address}" for step in self.steps)


Consume: TypeAlias = "Callable[[Item], Content | None]"


def opener_of(content: Content, openers: tuple[Opener, ...] = ALL_OPENERS) -> Opener | None:
    """The opener of the content; None if it is no container."""
    content.file.seek(max(0, content.size - END_BYTES))
    end = content.file.read(END_BYTES)
    return choose(openers, head=content.head, end=end, mime_type=content.mime_type, name=content.name)


def expand(
    container: Content,
    consume: Consume,
    *,
    bounds: Bounds,
    credentials: tuple[Credential, ...],
    openers: tuple[Opener, ...] = ALL_OPENERS,
    outermost: Opener | None = None,
) -> Iterator[Problem]:
    """Goes through all that is inside the container; gives what went wrong. Nothing at all if it is no container.

    Args:
        container: the outermost container. Its file stays open.
        consume: takes a member; gives its content for a look whether it is a container, or None.
        bounds: how much may come out of it.
        credentials: what may be tried on encrypted members.
        openers: the kinds to open.
        outermost: the opener of the outermost container; None if it is to be chosen.
    """
    opener = outermost or opener_of(container, openers)
    if opener is None:
        return
    account = Account(bounds=bounds, size=container.size)
    yield from _Walk(consume, account, credentials, openers).open_container(container, opener, ())
    limit = account.problem(container.name)
    if limit is not None:
        yield limit


@dataclass(frozen=True, slots=True)
class _Walk:
    consume: Consume
    account: Account
    credentials: tuple[Credential, ...]
    openers: tuple[Opener, ...]

    def open_container(self, container: Content, opener: Opener, steps: tuple[Step, ...]) -> Iterator[Problem]:
        where = display_path(SEPARATOR.join(step.path for step in steps))[0]
        folded = _Folded(where)
        members = guarded(opener.iter_members(container.file, container.size, container.name, self.credentials), container.name)
        try:
            for one in members:
                if isinstance(one, Problem):
                    yield replace(one, path=_below(where, one.path))
                    continue
                if not self.account.begin_member():
                    break
                folded.add(one)
                step = Step(opener=opener.name, address=one.address, path=one.path)
                is_whole = yield from self._take(container, one, (*steps, step))
                if self.account.is_over or not (is_whole or one.skippable):
                    break
        except ArchiveError as error:
            yield _unreadable(container.name, opener.name, str(error), where)
        finally:
            close = getattr(members, "close", None)
            if close is not None:
                close()
        yield from folded.problems()

    def _take(self, container: Content, member: Member, steps: tuple[Step, ...]) -> Generator[Problem, None, bool]:
        """Gives the member to the consumer and opens it if it is a container; whether no bound cut it (the generator's value)."""
        if member.blocks is None:
            self.consume(Item(steps=steps, member=member, blocks=None))
            return True
        if not self.account.may_hold(member.size, container.size):
            self.consume(Item(steps=steps, member=member, blocks=None, is_cut=True))
            return False
        blocks = _Counted(member.blocks, self.account, container.size)
        content = self.consume(Item(steps=steps, member=member, blocks=iter(blocks)))
        if content is None:
            return not blocks.is_cut
        try:
            opener = None if blocks.is_cut else opener_of(content, self.openers)
            if opener is not None and self.account.may_open(len(steps)):
                yield from self.open_container(content, opener, steps)
        finally:
            content.let_go()
        return not blocks.is_cut


class _Counted:
    """The blocks of one member, each counted before it is given."""

    def __init__(self, blocks: Iterator[bytes], account: Account, around: int) -> None:
        self._blocks, self._account, self._around = blocks, account, around
        self.is_cut = False

    def __iter__(self) -> Iterator[bytes]:
        so_far = 0
        for block in self._blocks:
            try:
                self._account.take(len(block), so_far, self._around)
            except ExpansionLimitError:
                self.is_cut = True
                raise
            so_far += len(block)
            yield block


@dataclass(slots=True)
class _Folded:
    """The problems of one container's members, one a code."""

    where: str
    _found: dict[str, tuple[int, Problem, str]] = field(default_factory=dict)

    def add(self, member: Member) -> None:
        if member.problem is not None:
            count, first, path = self._found.get(member.problem.code, (0, member.problem, display_path(member.path)[0]))
            self._found[member.problem.code] = count + 1, first, path

    def problems(self) -> Iterator[Problem]:
        for count, first, path in self._found.values():
            if count == 1:
                yield replace(first, path=_below(self.where, path))
            else:
                yield replace(first, what=f"{count} members of a container; the first: {first.what}", path=self.where)


def _below(where: str, path: str) -> str:
    """The path of something in a container, from the outermost one on."""
    return SEPARATOR.decode().join(filter(None, (where, path)))


def _unreadable(name: str, kind: str, why: str, where: str) -> Problem:
    if _PART.search(name):
        why = f"{why} (by its name it is one part of an archive in several files, of which each is read by itself here)"
    return Problem(
        stage=Stage.CONTENT,
        code="container-unreadable",
        what=f"{name} is a container ({kind}) that could not be opened or not to its end; what was read before is kept",
        why=why,
        advice="try another tool on it; if it is damaged, look for another copy",
        path=where,
    )
