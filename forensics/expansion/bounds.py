"""How much one file may become when what is inside it is taken out, and the account kept of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from forensics.errors import ArchiveError, Problem, Stage

_REFUSALS = 100  # a bomb may hold a million containers, each with one member that is too large


class ExpansionLimitError(ArchiveError):
    """A bound was reached while a member was read: what came of it is its beginning. The walk records the bound itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Bounds on the expansion of one outermost container.

    Attributes:
        depth: how many containers may lie one in the other, the outermost included.
        members: how many members are listed, of all containers inside it together.
        floor_bytes: how many bytes may come out of it whatever its size.
        factor: how many times its size may come out of it.
        cap_bytes: how many bytes may come out of it at most.
        ratio: how many times the size of the container around it a member may have …
        ratio_floor_bytes: … if it has more than so many bytes.
    """

    depth: int = 8
    members: int = 1_000_000
    floor_bytes: int = 1 << 30
    factor: int = 100
    cap_bytes: int = 1 << 40
    ratio: int = 2_000
    ratio_floor_bytes: int = 64 << 20

    def total_bytes(self, size: int) -> int:
        """How many bytes may come out of a container of `size` bytes."""
        return min(max(self.floor_bytes, self.factor * size), self.cap_bytes)


@dataclass(slots=True, kw_only=True)
class Account:
    """What has come out of one outermost container, and which bounds have bitten.

    Attributes:
        bounds: the bounds.
        size: size of the container in bytes.
        members, read_bytes: what has come out of it.
        is_over: whether the walk ends here.
    """

    bounds: Bounds
    size: int
    members: int = 0
    read_bytes: int = 0
    is_over: bool = False
    _bitten: dict[str, int] = field(default_factory=dict)
    _refused: int = 0

    def begin_member(self) -> bool:
        """Counts one more member; whether it may be listed."""
        if self.members >= self.bounds.members:
            self._bite(f"at most {self.bounds.members} members")
            self.is_over = True
            return False
        self.members += 1
        return True

    def may_hold(self, stated: int | None, around: int) -> bool:
        """Whether a member of that stated size, in a container of `around` bytes, may be begun."""
        if stated is None:
            return True
        if stated > self._total() - self.read_bytes:
            self._refuse(self._total_bound())
            return False
        if self._is_out_of_proportion(stated, around):
            self._refuse(self._ratio_bound())
            return False
        return True

    def take(self, count: int, so_far: int, around: int) -> None:
        """Counts the next `count` bytes of a member of which `so_far` bytes were read, in a container of `around` bytes.

        Raises:
            ExpansionLimitError: they are too many.
        """
        if self.read_bytes + count > self._total():
            self._bite(self._total_bound())
            self.is_over = True
            raise ExpansionLimitError(self._total_bound())
        if self._is_out_of_proportion(so_far + count, around):
            self._refuse(self._ratio_bound())
            raise ExpansionLimitError(self._ratio_bound())
        self.read_bytes += count

    def may_open(self, depth: int) -> bool:
        """Whether a container that `depth` others lie around may be opened."""
        if depth < self.bounds.depth:
            return True
        self._bite(f"at most {self.bounds.depth} containers one in the other")
        return False

    def problem(self, name: str) -> Problem | None:
        """The record of all bounds that have bitten; None if none has.

        Args:
            name: name of the outermost container, escaped.
        """
        if not self._bitten:
            return None
        bitten = "; ".join(f"{bound} ({_times(count)})" for bound, count in sorted(self._bitten.items()))
        rest = "the rest of it was not" if self.is_over else "what lies behind the bound was not"
        return Problem(
            stage=Stage.CONTENT,
            code="expansion-limit",
            what=f"{name}: {self.members} members and {self.read_bytes} bytes inside it were processed; {rest}",
            why=f"bounds reached: {bitten}",
            advice="so grows what was made to exhaust a reader; if it is genuine, extract it and process the result",
        )

    def _total(self) -> int:
        return self.bounds.total_bytes(self.size)

    def _total_bound(self) -> str:
        return f"at most {self._total()} bytes out of a container of {self.size} bytes"

    def _ratio_bound(self) -> str:
        return f"no member of more than {self.bounds.ratio_floor_bytes} bytes and {self.bounds.ratio} times its container's size"

    def _is_out_of_proportion(self, count: int, around: int) -> bool:
        return count > self.bounds.ratio_floor_bytes and count > self.bounds.ratio * around

    def _refuse(self, bound: str) -> None:
        self._bite(bound)
        self._refused += 1
        self.is_over = self.is_over or self._refused >= _REFUSALS

    def _bite(self, bound: str) -> None:
        self._bitten[bound] = self._bitten.get(bound, 0) + 1


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
