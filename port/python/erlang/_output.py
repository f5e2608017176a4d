# SPDX-License-Identifier: Apache-2.0
"""What Python prints: `sys.stdout` and `sys.stderr` of a worker.

While nobody listens, it goes where it always went: to standard error.  When
Erlang listens, each line becomes an event with a level and where it came from.
No line is waited for: what the reader cannot take is counted and left out, and
so is what comes faster than `_RATE` lines a second.

A line that has no end yet waits for it, at the latest until a job ends: then it
goes out, but those of a thread that goes on only once a second.  What stands
before a carriage return has been overwritten, as on a terminal.  So a progress
bar is one line, and one a second if it is slow.
"""

from __future__ import annotations

import _thread
import atexit
import codecs
import io
import os
import sys
import time

from erlang import Atom, SendError

import _erlang

TYPE_CHECKING = False  # importing typing takes memory
if TYPE_CHECKING:
    from typing import Any, BinaryIO, Dict

    # What an event says beside its text.
    More = Dict[Atom, Any]

# As in threading, which is not imported for it.
_RLock: Any = _thread.RLock  # type: ignore[attr-defined]

# Longer lines and texts are cut.
_LINE_MAX = 8192
# Lines at once, and lines a second after that.
_BURST = 1000
_RATE = 500
# A line without an end is shown by a flush when it has waited this long (s).
_PATIENCE = 1.0
# Characters that are kept for a call with the option `capture`: more than are
# sent (CAPTURE_LIMIT), so that task/capture.c sees that there were more.
_CAPTURE_MAX = (1 << 20) + 1


class _Budget:
    """How many lines may still be sent, and how many were not.

    A handler of signals, or a `__del__`, may print while its thread prints, so
    a thread that has the lock can take it again.
    """

    def __init__(self) -> None:
        self._lock = _RLock()
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
# Whether what is printed becomes events.
listening = False
# While a job captures: what is printed.  Set by task/capture.c.
captured: io.StringIO | None = None
# What goes on beside the jobs may have its own: a function that gives it.  None:
# it has not; False: nothing is captured there.
captured_here: Any = None


def _cut(text: str) -> str:
    if len(text) <= _LINE_MAX:
        return text
    return f"{text[:_LINE_MAX]}… ({len(text) - _LINE_MAX} more characters)"


def _plain(text: str) -> str:
    """Without lone surrogates, which no event can carry."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _event(
    source: Atom,
    level: Atom,
    text: str,
    more: More | None = None,
    wait: bool = False,
) -> bool:
    """Send an event.  Of what else is said, texts and numbers are taken."""
    data: More = {
        Atom("source"): source,
        Atom("level"): level,
        Atom("text"): _plain(_cut(text)),
    }
    for name, value in (more or {}).items():
        if isinstance(value, str):
            data[name] = _plain(_cut(value))
        elif isinstance(value, int):
            data[name] = int(value)
    return _erlang.event("log", data, wait)


def _say_dropped(source: Atom, wait: bool = False) -> None:
    if dropped := _budget.dropped():
        text = f"{dropped} lines were dropped"
        _event(source, Atom("warning"), text, wait=wait)


def say(
    source: Atom, level: Atom, text: str, more: More | None = None
) -> None:
    """Make a line an event, as the budget allows."""
    if not _budget.take():
        return
    _say_dropped(source)
    if not _event(source, level, text, more):
        _budget.drop()


def captures_here() -> Any:
    """The ContextVar of what is captured in a thread, or a task, of its own."""
    global captured_here
    if captured_here is None:
        from contextvars import ContextVar

        captured_here = ContextVar("captured", default=None).get
    return captured_here.__self__


def _kept() -> io.StringIO | None:
    here: io.StringIO | None = captured_here()
    return captured if here is None else here or None


def _keep(kept: io.StringIO, text: str) -> None:
    kept.write(text[: max(0, _CAPTURE_MAX - kept.tell())])


class _Bytes(io.BufferedIOBase):
    """The bytes below an output: no event is made of them."""

    def __init__(self, below: io.BufferedIOBase) -> None:
        self._below = below
        self._decoder = codecs.getincrementaldecoder("utf-8")(
            "backslashreplace"
        )

    def write(self, data: Any) -> int:
        """Write bytes: to who captures, or below."""
        kept = captured if captured_here is None else _kept()
        if kept is None:
            return self._below.write(data)
        _keep(kept, self._decoder.decode(bytes(data)))
        return memoryview(data).nbytes

    def flush(self) -> None:
        self._below.flush()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._below.fileno()


def _shown(line: str) -> str:
    """What a terminal shows in the end of a line: what was written last."""
    return next((part for part in reversed(line.split("\r")) if part), "")


class Output(io.TextIOBase):
    """sys.stdout or sys.stderr of a worker."""

    mode = "w"

    def __init__(
        self, name: Atom, level: Atom, below: io.TextIOWrapper
    ) -> None:
        self._name = name
        self._level = level
        self._below = below
        self._bytes = _Bytes(below.buffer)  # type: ignore[arg-type]
        self._again_at = 0.0  # when a thread's line may go out without an end
        self.begin()

    def begin(self) -> None:
        """Forget a line without an end, and who has the lock."""
        self._line = ""
        self._since = 0.0  # when it was begun
        self._thread = 0  # by whom
        self._cut = False  # the rest of a long line is left out
        self._lock = _RLock()

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
        """The bytes below, for code that writes bytes."""
        return self._bytes

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
        return self._bytes  # type: ignore[return-value]

    def fileno(self) -> int:
        return self._below.fileno()

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        """Print: to who captures, to who listens, or below."""
        if not isinstance(text, str):
            raise TypeError(f"write() takes a str, not {type(text).__name__}")
        kept = captured if captured_here is None else _kept()
        if kept is not None:
            _keep(kept, text)
        elif listening:
            self._write_lines(text)
        else:
            self._below.write(text)
        return len(text)

    def _write_lines(self, text: str) -> None:
        with self._lock:
            begun = bool(self._line)
            *lines, self._line = (self._line + text).split("\n")
            if self._cut and lines:
                del lines[0]
                self._cut = False
            self._shorten(lines)
            if self._line and (lines or not begun):
                self._since = time.monotonic()
                self._thread = _thread.get_ident()
                _erlang.unfinished()
        for line in lines:
            say(self._name, self._level, _shown(line))

    def _shorten(self, lines: list[str]) -> None:
        """Of a line without an end keep what is shown, if that is not long."""
        if "\r" in self._line:
            end = "\r" if self._line.endswith("\r") else ""
            self._line = _shown(self._line) + end
        if len(self._line) > _LINE_MAX:
            if not self._cut:
                lines.append(self._line)
            self._line = ""
            self._cut = True

    def flush(self) -> None:
        """Let a line go that has waited long for its end."""
        if self._line and time.monotonic() - self._since >= _PATIENCE:
            self.end_line()
        self._below.flush()

    def end_line(self) -> None:
        """Let a line go that has no end yet."""
        with self._lock:
            line, self._line = self._line, ""
        if line:
            say(self._name, self._level, _shown(line))


    def end_job(self) -> None:
        """A job has ended in this thread: so does its line.

        A line of another thread may be a progress bar while others' jobs come
        and go.
        """
        if self._line and self._thread != _thread.get_ident():
            now = time.monotonic()
            if now < self._again_at:
                _erlang.unfinished()  # the next job that ends looks again
                return
            self._again_at = now + _PATIENCE
        self.end_line()


# Ours, whatever the user's code has put in their places.
outputs: list[Output] = []


def end_lines() -> None:
    """A job has ended: what it has printed must not wait longer."""
    for output in outputs:
        output.end_job()


def _end() -> None:
    """Python ends: no later line will say how many were dropped."""
    for output in outputs:
        output.end_line()
    if listening:
        try:
            _say_dropped(Atom("stdout"), wait=True)
        except SendError:  # nobody listens any more
            pass


def deaf() -> None:
    """A forked child has nobody who listens.

    Nor has it the parent's other threads, one of which may have had a lock.
    """
    global _budget, captured, captured_here
    captured = captured_here = None
    _budget = _Budget()
    for output in outputs:
        output.begin()


def install() -> None:
    """Put our objects in the places of sys.stdout and sys.stderr."""
    if not outputs:
        for name, level in (
            (Atom("stdout"), Atom("notice")),
            (Atom("stderr"), Atom("warning")),
        ):
            output = Output(name, level, getattr(sys, name))
            setattr(sys, name, output)
            outputs.append(output)
        os.register_at_fork(after_in_child=deaf)
        atexit.register(_end)  # the first one registered is the last to run
