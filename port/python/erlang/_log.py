# SPDX-License-Identifier: Apache-2.0
"""What Python warns of, and the exceptions that nobody can take.

When Erlang listens, each is an event with its level and its place; while a job
captures, it is written to standard error, as a terminal would show it.  What
Python logs is `_logging`'s: logging is large, so it is imported by those who
use it.
"""

from __future__ import annotations

import os
import sys
import warnings

from erlang import Atom, _imports, _output, _threads

TYPE_CHECKING = False  # importing typing takes memory
if TYPE_CHECKING:
    import threading
    from types import ModuleType, TracebackType
    from typing import Any

# What was there before somebody listened.
below: dict[str, Any] = {}


def _show_warning(message, category, filename, lineno, file=None, line=None):  # type: ignore[no-untyped-def]
    if file is not None or _output.captured is not None:
        below["showwarning"](message, category, filename, lineno, file, line)
    else:
        _output.say(
            Atom("warnings"),
            Atom("warning"),
            f"{category.__name__}: {message}",
            {Atom("file"): filename, Atom("line"): lineno},
        )


def _formatted(
    kind: type[BaseException],
    exc: BaseException | None,
    trace: TracebackType | None,
) -> str:
    try:
        from traceback import format_exception

        return "".join(format_exception(kind, exc, trace)).rstrip("\n")
    except Exception:  # no memory, Python ends, or what it needs is foreign
        return f"{kind.__name__}: {exc}"


def _unraisable(args: sys.UnraisableHookArgs) -> None:
    if _output.captured is not None:
        below["unraisablehook"](args)
        return
    text = _formatted(args.exc_type, args.exc_value, args.exc_traceback)
    what = args.err_msg or "Exception ignored in"
    _output.say(
        Atom("unraisable"), Atom("error"), f"{what}: {args.object!r}\n{text}"
    )


def _thread_ended(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is SystemExit:
        return
    if _output.captured is not None:
        below["excepthook"](args)
        return
    text = _formatted(args.exc_type, args.exc_value, args.exc_traceback)
    name = args.thread.name if args.thread else "?"
    _output.say(
        Atom("thread"), Atom("error"), f"Exception in thread {name}:\n{text}"
    )


# By name: the object that has the hook, and ours.
_hooks: dict[str, tuple[object, object]] = {
    "showwarning": (warnings, _show_warning),
    "unraisablehook": (sys, _unraisable),
}


def _put(name: str) -> None:
    """Ours may be there already, when two threads have come here."""
    owner, ours = _hooks[name]
    before = getattr(owner, name)
    if before is not ours:
        below[name] = before
        setattr(owner, name, ours)


def add(name: str, owner: object, ours: object) -> None:
    """A hook of a module that is there by now, if the module has a place for it."""
    getattr(owner, name)
    _hooks[name] = owner, ours
    if _output.listening:
        _put(name)


def listen(on: bool) -> None:
    """Make lines events from now on, or let them go where they went before.

    What is imported meanwhile finds either its hook among those here, or that
    somebody listens.
    """
    if on == _output.listening:
        return
    _output.listening = on
    for name, (owner, _) in list(_hooks.items()):
        if on:
            _put(name)
        elif name in below:  # a fork may have come just before it was put there
            setattr(owner, name, below[name])


def _with_threads(threading: ModuleType) -> None:
    add("excepthook", threading, _thread_ended)
    _threads.mend_main(threading)


def _logs(logging: ModuleType) -> None:
    __import__("erlang._logging")


def unless_foreign(follow: _imports.Callback) -> _imports.Callback:
    """What user code imports may be a file of its own that has the name."""

    def imported(module: ModuleType) -> None:
        try:
            follow(module)
        except (MemoryError, RecursionError):
            raise
        except Exception:
            pass

    return imported


def install() -> None:
    """A forked child has nobody who listens."""
    _imports.watch("threading", unless_foreign(_with_threads))
    _imports.watch("logging", unless_foreign(_logs))
    os.register_at_fork(after_in_child=lambda: listen(False))
