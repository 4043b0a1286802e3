"""The one boundary where code that reads hostile data may raise anything, and a problem is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def attempt(action: Callable[[], None], *, passing: tuple[type[Exception], ...] = ()) -> Exception | None:
    """Runs the action; gives the exception that ended it, or None.

    `except Exception` stands here only. What runs inside is code of third parties over evidence that may be damaged or made to
    do harm: filesystem readers, and the four hundred functions of dissect.target. They raise whatever their parser met
    (IndexError, struct.error, EOFError, RecursionError, …), so no list of exceptions is complete. The caller makes a problem of
    what comes back. KeyboardInterrupt and SystemExit pass.

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
    return None
