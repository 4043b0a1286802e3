"""The one boundary where code that reads hostile data may raise anything, and a problem is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Some plugins give UnsupportedPluginError its message in parts, as for logging, and making that exception then fails with this.
_MISMADE = "'str' object has no attribute '__suppress_context__'"
_CRASHED = "An exception occurred while checking for plugin compatibility"

_PANIC = "PanicException"  # pyo3_runtime's; it derives from BaseException and cannot be imported


class LibraryPanicError(Exception):
    """Code in Rust gave up over damaged data."""


def attempt(action: Callable[[], None], *, passing: tuple[type[Exception], ...] = ()) -> Exception | None:
    """Runs the action; gives the exception that ended it, or None.

    `except Exception` stands here only. dissect.target's plugins are some four hundred functions by many
    authors; on damaged files they raise whatever their parser met (IndexError, struct.error, EOFError, RecursionError, …), so no
    list of exceptions is complete. The caller makes a problem of what comes back. KeyboardInterrupt and SystemExit pass. What code in Rust
    (dissect.util's decoders of LZO and LZ4) raises when it reads past its buffer is no Exception to Python, but must end one item only.

    Args:
        action: what runs the third-party code.
        passing: exceptions that mean something to the caller and are raised as they are.
    """
    try:
        action()
    except passing:
        raise
    except Exception as error:  # noqa: BLE001 - see above
        return error
    except BaseException as error:
        if type(error).__name__ != _PANIC:
            raise
        return LibraryPanicError(str(error))
    return None


def crash_behind(error: BaseException | None) -> BaseException | None:
    """What a plugin raised while it looked whether it applies; None where it only found that it does not.

    dissect.target makes both the same exception, UnsupportedPluginError, so a plugin that stumbles over a damaged file would
    look like one that has nothing to read. They differ in the message (Target.add_plugin, 3.25.1).
    """
    while error is not None:
        if str(error).startswith(_CRASHED):
            return None if str(error.__cause__) == _MISMADE else error.__cause__ or error
        error = error.__cause__
    return None
