# SPDX-License-Identifier: Apache-2.0
"""The standard library's own locks: who takes them, and what was left taken.

Nothing is imported here that a worker has not imported anyway, and nothing
later on: when this is asked, imports may not work any more.
"""

from __future__ import annotations

import _imp
import _thread
import sys

TYPE_CHECKING = False  # importing typing takes memory
if TYPE_CHECKING:
    from typing import Iterator

# Modules, and packages with all that is in them, whose code calls acquire()
# first and enters a `try` then.  loop/moment.c raises nothing there.
LOCKING = frozenset(
    {
        "_frozen_importlib",
        "_frozen_importlib_external",
        "_threading_local",
        "concurrent",
        "contextlib",
        "erlang._log",
        "erlang._logging",
        "http.cookiejar",
        "importlib",
        "logging",
        "multiprocessing",
        "queue",
        "subprocess",
        "tempfile",
        "threading",
        "warnings",
    }
)

# Locks that know their owner, where there are any.
_OWN = (
    ("logging", "_lock"),
    ("threading", "_active_limbo_lock"),
    ("warnings", "_lock"),
)


def held() -> str | None:
    """What the calling thread holds, between two jobs, and should not."""
    return next(_held(), None)


def _held() -> Iterator[str]:
    if _let_go_of_import_lock():
        yield "the import lock"
    for name in _modules():
        yield f"the import lock of {name}"
    for module, name in _OWN:
        if _is_ours(getattr(sys.modules.get(module), name, None)):
            yield f"{module}.{name}"
    for handler in _handlers():
        if _is_ours(getattr(handler, "lock", None)):
            yield f"the lock of a {type(handler).__name__}"


def _let_go_of_import_lock() -> bool:
    """Whether it was ours: only its owner can let go of it.

    Whoever waits for it goes on, which is as well.
    """
    ours = False
    try:
        while _imp.lock_held():
            _imp.release_lock()
            ours = True
    except RuntimeError:  # another thread imports something
        pass
    return ours


def _modules() -> Iterator[str]:
    """The modules that this thread imports, as importlib has it."""
    locks = getattr(sys.modules.get("_frozen_importlib"), "_module_locks", {})
    for name, ref in list(locks.items()):
        if getattr(ref(), "owner", None) == _thread.get_ident():
            yield name


def _handlers() -> list[object]:
    """All handlers of logging that there are."""
    refs = getattr(sys.modules.get("logging"), "_handlerList", [])
    return [ref() for ref in list(refs)]


def _is_ours(lock: object) -> bool:
    return isinstance(lock, _thread.RLock) and lock._is_owned()  # type: ignore[attr-defined]
