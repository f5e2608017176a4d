# SPDX-License-Identifier: Apache-2.0
"""What Python logs and warns of, and the exceptions that nobody can take.

When Erlang listens, each is an event with its level and its place; while a job
captures, it is written to standard error, as a terminal would show it.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
import warnings

from erlang import Atom, _output

TYPE_CHECKING = False  # importing typing takes memory
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

_LEVELS = (
    (logging.CRITICAL, Atom("critical")),
    (logging.ERROR, Atom("error")),
    (logging.WARNING, Atom("warning")),
    (logging.INFO, Atom("info")),
)
_LEAST = Atom("debug")

_message_only = logging.Formatter()


def _level(number: int) -> Atom:
    return next((name for least, name in _LEVELS if number >= least), _LEAST)


class LogHandler(logging.Handler):
    """Sends records of Python's logging to Erlang's logger.

    Records that no handler of the program takes go through one of these, and
    those that a handler would write to standard output or standard error.  Add
    one to a configuration of your own to keep the level and the place.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record, with its traceback if it has one."""
        try:
            _say_record(record, self.format(record))
        except Exception:
            self.handleError(record)


def _say_record(record: logging.LogRecord, text: str) -> None:
    """A record made by hand may lack what says where it comes from."""
    _output.say(
        Atom("logging"),
        _level(record.levelno),
        text,
        {
            Atom("logger"): getattr(record, "name", None),
            Atom("file"): getattr(record, "pathname", None),
            Atom("line"): getattr(record, "lineno", None),
        },
    )


class _LastResort(LogHandler):
    """What logging falls back on where no handler is configured."""

    def emit(self, record: logging.LogRecord) -> None:
        if _output.captured is None:
            super().emit(record)
        else:
            _below["lastResort"].emit(record)


def _emit_to_stream(handler: Any, record: logging.LogRecord) -> None:
    """The method `emit` of logging.StreamHandler while Erlang listens.

    basicConfig, which logging.warning() calls by itself, makes a handler for
    standard error: level and place would be lost there.
    """
    stream = getattr(handler, "stream", None)
    ours = any(stream is output for output in _output.outputs)
    if not ours or _output.captured is not None:
        _below["emit"](handler, record)
        return
    try:
        _say_record(record, _formatter(handler).format(record))
    except Exception:
        handler.handleError(record)


def _formatter(handler: logging.Handler) -> logging.Formatter:
    """What it says beside the message by default, an event says anyway."""
    formatter = handler.formatter
    basic = getattr(formatter, "_fmt", None) == logging.BASIC_FORMAT
    return _message_only if formatter is None or basic else formatter


def _show_warning(message, category, filename, lineno, file=None, line=None):  # type: ignore[no-untyped-def]
    if file is not None or _output.captured is not None:
        _below["showwarning"](message, category, filename, lineno, file, line)
    else:
        _output.say(
            Atom("warnings"),
            Atom("warning"),
            f"{category.__name__}: {message}",
            {Atom("file"): filename, Atom("line"): lineno},
        )


def _formatted(
    kind: type[BaseException] | None,
    exc: BaseException | None,
    trace: TracebackType | None,
) -> str:
    return "".join(traceback.format_exception(kind, exc, trace)).rstrip("\n")


def _unraisable(args: sys.UnraisableHookArgs) -> None:
    if _output.captured is not None:
        _below["unraisablehook"](args)
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
        _below["excepthook"](args)
        return
    text = _formatted(args.exc_type, args.exc_value, args.exc_traceback)
    name = args.thread.name if args.thread else "?"
    _output.say(
        Atom("thread"), Atom("error"), f"Exception in thread {name}:\n{text}"
    )


# What was there before somebody listened.
_below: dict[str, Any] = {}


def _hooks() -> dict[str, tuple[object, object]]:
    """By name: the object that has the hook, and ours."""
    return {
        "showwarning": (warnings, _show_warning),
        "unraisablehook": (sys, _unraisable),
        "excepthook": (threading, _thread_ended),
        "lastResort": (logging, _LastResort()),
        "emit": (logging.StreamHandler, _emit_to_stream),
    }


def listen(on: bool) -> None:
    """Make lines events from now on, or let them go where they went before."""
    if on == _output.listening:
        return
    for name, (owner, ours) in _hooks().items():
        if on:
            _below[name] = getattr(owner, name)
        setattr(owner, name, ours if on else _below[name])
    _output.listening = on


def install() -> None:
    """A forked child has nobody who listens."""
    os.register_at_fork(after_in_child=lambda: listen(False))
