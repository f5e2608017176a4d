# SPDX-License-Identifier: Apache-2.0
"""Where what Python prints and logs goes.

While nobody listens, it goes where it always went: to standard error.  When
Erlang listens, each line becomes an event with a level and where it came from.
An event is never waited for: what the reader cannot take is counted and left
out, and so is what comes faster than `_RATE` lines a second.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
import time
import traceback
import warnings
from types import TracebackType
from typing import Any, BinaryIO, Dict

from erlang import Atom

import _erlang

# Longer lines and texts are cut.
_LINE_MAX = 8192
# Lines at once, and lines a second after that.
_BURST = 1000
_RATE = 500
# Characters that are kept for a call with the option `capture`: more than are
# sent (CAPTURE_LIMIT), so that task/capture.c sees that there were more.
_CAPTURE_MAX = (1 << 20) + 1

_LEVELS = (
    (logging.CRITICAL, Atom("critical")),
    (logging.ERROR, Atom("error")),
    (logging.WARNING, Atom("warning")),
    (logging.INFO, Atom("info")),
)
_LEAST = Atom("debug")

# What an event says beside its text.
_More = Dict[Atom, Any]


class _Budget:
    """How many lines may still be sent, and how many were not.

    A handler of signals, or a `__del__`, may print while its thread prints, so
    a thread that has the lock can take it again.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._left = float(_BURST)
        self._at = time.monotonic()
        self._dropped = 0

    def take(self) -> bool:
        """Whether a line may be sent now."""
        with self._lock:
            now = time.monotonic()
            self._left = min(_BURST, self._left + (now - self._at) * _RATE)
            self._at = now
            if self._left < 1:
                self._dropped += 1
                return False
            self._left -= 1
            return True

    def drop(self) -> None:
        """Count a line that could not be sent after all."""
        with self._lock:
            self._dropped += 1

    def dropped(self) -> int:
        """How many were dropped since the last call."""
        with self._lock:
            dropped, self._dropped = self._dropped, 0
            return dropped


_budget = _Budget()
_listening = False
# While a job captures: what is printed.  Set by task/capture.c.
captured: io.StringIO | None = None


def _cut(text: str) -> str:
    if len(text) <= _LINE_MAX:
        return text
    return f"{text[:_LINE_MAX]}… ({len(text) - _LINE_MAX} more characters)"


def _plain(text: str) -> str:
    """Without lone surrogates, which no event can carry."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _event(
    source: Atom, level: Atom, text: str, more: _More | None = None
) -> bool:
    data = {
        Atom("source"): source,
        Atom("level"): level,
        Atom("text"): _plain(_cut(text)),
    }
    for name, value in (more or {}).items():
        data[name] = _plain(value) if isinstance(value, str) else value
    return _erlang.event("log", data, False)


def _say(
    source: Atom, level: Atom, text: str, more: _More | None = None
) -> None:
    if not _budget.take():
        return
    if dropped := _budget.dropped():
        _event(source, Atom("warning"), f"{dropped} lines were dropped")
    if not _event(source, level, text, more):
        _budget.drop()


class Output(io.TextIOBase):
    """sys.stdout or sys.stderr of a worker."""

    mode = "w"

    def __init__(
        self, name: Atom, level: Atom, below: io.TextIOWrapper
    ) -> None:
        self._name = name
        self._level = level
        self._below = below
        self.begin()

    def begin(self) -> None:
        """Forget a line that has no end yet, and who holds the lock."""
        self._line = ""
        self._cut = False  # the rest of a long line is left out
        self._lock = threading.RLock()

    @property
    def name(self) -> str:
        return f"<{self._name}>"

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "backslashreplace"

    @property
    def buffer(self) -> io.BufferedIOBase:
        """The bytes below, for code that writes bytes: never an event."""
        return self._below.buffer  # type: ignore[return-value]

    @property
    def line_buffering(self) -> bool:
        return self._below.line_buffering

    @property
    def write_through(self) -> bool:
        return self._below.write_through

    def reconfigure(self, **settings: Any) -> None:
        """Change how text goes below; to events none of it matters."""
        self._below.reconfigure(**settings)

    def detach(self) -> BinaryIO:
        """The bytes below.  A worker goes on with this object all the same."""
        return self._below.buffer

    def fileno(self) -> int:
        return self._below.fileno()

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        """Print: to whoever captures, to whoever listens, or below."""
        if not isinstance(text, str):
            raise TypeError(f"write() takes a str, not {type(text).__name__}")
        kept = captured
        if kept is not None:
            kept.write(text[: max(0, _CAPTURE_MAX - kept.tell())])
        elif _listening:
            self._write_lines(text)
        else:
            self._below.write(text)
        return len(text)

    def _write_lines(self, text: str) -> None:
        with self._lock:
            *lines, self._line = (self._line + text).split("\n")
            if self._cut and lines:
                del lines[0]
                self._cut = False
            if len(self._line) > _LINE_MAX:
                if not self._cut:
                    lines.append(self._line)
                self._line = ""
                self._cut = True
        for line in lines:
            _say(self._name, self._level, line)

    def flush(self) -> None:
        """Send a line that has no end yet."""
        with self._lock:
            line, self._line = self._line, ""
        if line:
            _say(self._name, self._level, line)
        self._below.flush()


class LogHandler(logging.Handler):
    """Sends records of Python's logging to Erlang's logger.

    Records that no handler of the program takes go through one of these.  Add
    one to a configuration of your own to keep the level and the place.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record, with its traceback if it has one."""
        try:
            _say(
                Atom("logging"),
                _level(record.levelno),
                self.format(record),
                {
                    Atom("logger"): record.name,
                    Atom("file"): record.pathname,
                    Atom("line"): record.lineno,
                },
            )
        except Exception:
            self.handleError(record)


def _level(number: int) -> Atom:
    return next((name for least, name in _LEVELS if number >= least), _LEAST)


def _show_warning(message, category, filename, lineno, file=None, line=None):  # type: ignore[no-untyped-def]
    if file is not None or not _listening:
        _below["showwarning"](message, category, filename, lineno, file, line)
    else:
        _say(
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
    text = _formatted(args.exc_type, args.exc_value, args.exc_traceback)
    what = args.err_msg or "Exception ignored in"
    text = f"{what}: {args.object!r}\n{text}"
    _say(Atom("unraisable"), Atom("error"), text)


def _thread_ended(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is SystemExit:
        return
    text = _formatted(args.exc_type, args.exc_value, args.exc_traceback)
    name = args.thread.name if args.thread else "?"
    text = f"Exception in thread {name}:\n{text}"
    _say(Atom("thread"), Atom("error"), text)


# What was there before somebody listened.
_below: dict[str, object] = {}


def _hooks() -> dict[str, tuple[object, object]]:
    """By name: the object that has the hook, and ours."""
    return {
        "showwarning": (warnings, _show_warning),
        "unraisablehook": (sys, _unraisable),
        "excepthook": (threading, _thread_ended),
        "lastResort": (logging, LogHandler()),
    }


def listen(on: bool) -> None:
    """Make lines events from now on, or let them go where they went before."""
    global _listening
    if on == _listening:
        return
    for name, (owner, ours) in _hooks().items():
        if on:
            _below[name] = getattr(owner, name)
        setattr(owner, name, ours if on else _below[name])
    _listening = on


# Ours, whatever the user's code has put in their places.
_outputs: list[Output] = []


def _deaf() -> None:
    """Nobody listens to a forked child.

    There are no other threads, one of which may have held a lock at the fork.
    """
    global _budget, captured
    listen(False)
    captured = None
    _budget = _Budget()
    for output in _outputs:
        output.begin()


def install() -> None:
    """Put our objects in the places of sys.stdout and sys.stderr."""
    if not _outputs:
        for name, level in (
            (Atom("stdout"), Atom("notice")),
            (Atom("stderr"), Atom("warning")),
        ):
            output = Output(name, level, getattr(sys, name))
            setattr(sys, name, output)
            _outputs.append(output)
        os.register_at_fork(after_in_child=_deaf)
