# SPDX-License-Identifier: Apache-2.0
"""The signals that a worker has handlers for, as Python sees them.

Each has a real handler here, so code can replace it and put it back.  For SIGINT
and SIGTERM a handler in C stands in front of it: the worker has to know which
SIGINT comes from outside, and SIGTERM has to work while C code runs.  Python's
own `signal` would take that one away, so it is wrapped.

A forked child has none of this.
"""

from __future__ import annotations

import faulthandler
import os

import _signal  # type: ignore[import]

TYPE_CHECKING = False  # importing typing takes memory
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, NoReturn, Tuple

_set = _signal.signal
# By number: ours, and what it would be in an ordinary Python.
_own: Dict[int, Tuple[Any, Any]] = {}
_keep: Callable[[int], None]
_terminate: Callable[[], None]

_FATAL = (
    _signal.SIGSEGV,
    _signal.SIGBUS,
    _signal.SIGFPE,
    _signal.SIGILL,
    _signal.SIGABRT,
)


def interrupted(number: int, frame: object) -> NoReturn:
    """SIGINT by `_thread.interrupt_main()` or from this very process."""
    raise KeyboardInterrupt


def terminated(number: int, frame: object) -> None:
    """SIGTERM by `_thread.interrupt_main()`: the worker ends in order."""
    _terminate()


def _set_and_keep(signalnum: Any, handler: Any, /) -> Any:
    before = _set(signalnum, handler)
    if signalnum in _own and handler is _own[signalnum][0]:
        _keep(int(signalnum))
    return before


_set_and_keep.__name__ = "signal"
_set_and_keep.__doc__ = _set.__doc__


def own(number: int, handler: Any, plain: Any = _signal.SIG_DFL) -> None:
    """Set a handler of the worker's own."""
    _own[number] = handler, plain
    _set_and_keep(number, handler)


def _plain() -> None:
    """In a forked child: as it is in an ordinary Python.

    What user code has set stays.  C has done its part already; this is for what
    Python believes.
    """
    _signal.signal = _set
    for number, (ours, plain) in _own.items():
        if _signal.getsignal(number) is ours:
            _set(number, plain)
    faulthandler.disable()  # puts C's handlers back
    for number in _FATAL:
        _set(number, _signal.getsignal(number) or _signal.SIG_DFL)


def install(
    keep: Callable[[int], None], terminate: Callable[[], None]
) -> None:
    """Take over, with what C does."""
    global _keep, _terminate
    _keep, _terminate = keep, terminate
    _signal.signal = _set_and_keep
    own(_signal.SIGINT, interrupted, _signal.default_int_handler)
    own(_signal.SIGTERM, terminated)
    os.register_at_fork(after_in_child=_plain)
