from __future__ import annotations

import pytest
from dissect.target import Target
from dissect.target.exceptions import UnsupportedPluginError
from dissect.target.filesystem import VirtualFilesystem
from dissect.target.plugin import Plugin
from dissect.util.compression import lzo

from forensics.boundary import LibraryPanicError, attempt, crash_behind


def test_an_exception_comes_back_as_a_value():
    error = attempt(lambda: int("x"))
    assert isinstance(error, ValueError)


def test_what_ends_well_gives_none():
    assert attempt(lambda: None) is None


def test_an_exception_that_the_caller_knows_is_raised():
    with pytest.raises(KeyError):
        attempt(lambda: {}["absent"], passing=(KeyError,))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_ends_the_program_passes(error):
    def action():
        raise error

    with pytest.raises(error):
        attempt(action)


def test_what_code_in_rust_raises_past_every_handler_comes_back_as_an_exception():
    """The decoder of LZO in dissect.util panics over these bytes, with an exception that is none of Exception's."""
    error = attempt(lambda: lzo.decompress(b"\x11" * 40, False, 100))
    assert isinstance(error, LibraryPanicError)
    assert "out of bounds" in str(error)


def unsupported(check):
    """What dissect.target raises for a plugin with that check."""
    plugin = type("ProbePlugin", (Plugin,), {"__register__": False, "check_compatible": lambda _: check()})
    target = Target()
    target.fs.mount("/", VirtualFilesystem())
    with pytest.raises(UnsupportedPluginError) as raised:
        target.add_plugin(plugin)
    return raised.value


def test_a_plugin_that_crashes_while_it_looks_is_told_from_one_that_does_not_apply():
    def crash():
        message = "damaged header"
        raise ValueError(message)

    def nothing():
        raise UnsupportedPluginError("no such files") from FileNotFoundError("x")  # noqa: EM101, TRY003

    found = crash_behind(unsupported(crash))
    assert isinstance(found, ValueError)
    assert str(found) == "damaged header"
    assert crash_behind(unsupported(nothing)) is None
    assert crash_behind(None) is None


def test_a_plugin_that_mismakes_its_refusal_does_not_apply():
    """Such as msoffice of dissect.target 3.25.1."""

    def nothing():
        raise UnsupportedPluginError("no key: %s", "HKLM")  # noqa: EM101, TRY003 - that is what is tested

    assert crash_behind(unsupported(nothing)) is None


def test_a_crash_is_found_behind_the_exceptions_that_wrap_it():
    def crash():
        message = "damaged header"
        raise ValueError(message)

    outer = UnsupportedPluginError("Unsupported function")
    outer.__cause__ = unsupported(crash)
    assert str(crash_behind(outer)) == "damaged header"
