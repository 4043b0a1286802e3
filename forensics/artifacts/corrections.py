"""Defects of dissect.target 3.25.1 that lose or change rows, corrected on the plugin that a function runs on.

authlog   raises where the extra fields of one message cannot be parsed, and so loses every line after it. An sshd line "Accepted
          publickey" with an MD5 fingerprint, as OpenSSH wrote before 6.8, or with none is enough. Corrected: that row has no
          extra fields, and dissect's warning stands.
pathext   is a set, and the path resolver takes the first extension in it that exists, so which file a bare name leads to depends
          on Python's hash seed. Corrected: one order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forensics.boundary import attempt

if TYPE_CHECKING:
    from collections.abc import Callable


class OrderedExtensions(set[str]):
    """A set of file extensions whose union with another comes in alphabetical order, the name without one first."""

    def __or__(self, other: Any) -> Any:
        """The union, as a mapping so that it keeps its order."""
        return dict.fromkeys(sorted({*self, *other}))


def correct_plugin(plugin: Any) -> None:
    """Corrects the plugin of a function, where it is one of the above."""
    builder = getattr(plugin, "_auth_log_builder", None)
    if builder is not None:
        builder._parse_additional_fields = _fields_or_none(builder._parse_additional_fields)  # noqa: SLF001 - the failing part


def correct_environment(plugin: Any) -> None:
    """Corrects the plugin that gives `pathext`; without a registry there is none to correct."""

    def correct() -> None:
        plugin._pathext = OrderedExtensions(plugin.pathext)  # noqa: SLF001 - the plugin's own cache

    attempt(correct)


def _fields_or_none(parse: Callable[[str | None, str], dict[str, Any]]) -> Callable[[str | None, str], dict[str, Any]]:
    def corrected(service: str | None, message: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        attempt(lambda: found.update(parse(service, message)))  # dissect has logged what failed
        return found

    return corrected
