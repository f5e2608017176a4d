# SPDX-License-Identifier: Apache-2.0
"""Spans: how long parts of the code take, and what they are parts of."""

from __future__ import annotations

import functools
import os
import time
from contextvars import ContextVar

from . import Atom
from ._attributes import plain
from ._names import clean, full_name, said

try:
    import _erlang
except ImportError:  # an ordinary Python
    _erlang = None  # type: ignore[assignment]

TYPE_CHECKING = False  # importing these would take memory in every worker
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, TypeVar

    _F = TypeVar("_F", bound=Callable[..., Any])

# Characters of a name and of an exception's message.
_MOST_NAME = 200
_MOST_MESSAGE = 1000

# The flag of a trace that somebody keeps.
_SAMPLED = 1

# Bits of co_flags.
_GENERATOR = 0x20
_COROUTINE = 0x80
_ASYNC_GENERATOR = 0x200

# Spans of which Erlang did not hear, because it was behind.
_dropped = 0


class _Remote:
    """A span that is not one of ours: of whoever has asked for the call."""

    __slots__ = ("trace_id", "span_id", "flags")

    def __init__(self, trace_id: str, span_id: str, flags: int) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.flags = flags


# task/span.c clears it between jobs, and keeps it for streams; _aio has it, too.
current: ContextVar[Span | _Remote | None] = ContextVar("erlang.span", default=None)


def _open(span: Span | _Remote | None) -> Span | _Remote | None:
    """The innermost of a span and its parents that is not over.

    Spans of generators may end in any order, and in other contexts than they
    have begun in.
    """
    while isinstance(span, Span) and not span._is_open:
        span = span._parent
    return span


class Span:
    """A part of the code whose time is taken; see erlang.span."""

    __slots__ = (
        *("name", "attributes", "trace_id", "span_id", "flags", "_parent"),
        *("_is_open", "_start", "_begin"),
    )
    trace_id: str
    span_id: str
    flags: int
    _parent: Span | _Remote | None
    _is_open: bool
    _start: int
    _begin: int

    def __init__(self, name: str, attributes: dict[str, Any]) -> None:
        if not isinstance(name, str):
            raise TypeError(f"a span's name is a str, not {type(name).__name__}")
        self.name = name
        self.attributes = attributes
        self._is_open = False

    def set(self, /, **attributes: object) -> None:
        """Say more about it, before it is over."""
        self.attributes.update(attributes)

    def __enter__(self) -> Span:
        if self._is_open:
            raise RuntimeError("the span has begun already")
        parent = self._parent = _open(current.get())
        self.trace_id = parent.trace_id if parent else _random(16)
        self.flags = parent.flags if parent else _SAMPLED
        self.span_id = _random(8)
        self._start = time.time_ns()
        self._begin = time.monotonic_ns()
        self._is_open = True
        current.set(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._is_open:
            raise RuntimeError("the span has not begun")
        duration = time.monotonic_ns() - self._begin
        self._is_open = False
        parent = self._parent
        self._parent = _open(parent)
        if current.get() is self:
            current.set(self._parent)
        if self.flags & _SAMPLED:
            _tell(self, parent, duration, exc)

    def __call__(self, function: _F) -> _F:
        """Decorate a function: each call of it is a span."""
        made = _wrapper(function, self.name, self.attributes)
        return functools.wraps(function)(made)  # type: ignore[return-value]


def _random(count: int) -> str:
    return os.urandom(count).hex()


def _wrapper(
    function: Callable[..., Any], name: str, attributes: dict[str, Any]
) -> Callable[..., Any]:
    """It has the span for as long as the function's code runs."""
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)

    def call(*args: Any, **kwargs: Any) -> Any:
        with Span(name, {**attributes}):
            return function(*args, **kwargs)

    def generate(*args: Any, **kwargs: Any) -> Any:
        with Span(name, {**attributes}):
            return (yield from function(*args, **kwargs))

    async def wait(*args: Any, **kwargs: Any) -> Any:
        with Span(name, {**attributes}):
            return await function(*args, **kwargs)

    if flags & _ASYNC_GENERATOR:
        raise TypeError("no span for an asynchronous generator: use `with` in it")
    if flags & _GENERATOR:
        return generate
    return wait if flags & _COROUTINE else call


def _tell(
    span: Span, parent: Span | _Remote | None, duration: int, exc: BaseException | None
) -> None:
    """Send it, without waiting: what the reader cannot take is counted."""
    global _dropped
    if _erlang is None:
        return
    try:
        sent = _erlang.event("span", _event(span, parent, duration, exc), False)
    except Exception:  # no memory, or no connection any more
        sent = False
    _dropped = 0 if sent else _dropped + 1


def _event(
    span: Span, parent: Span | _Remote | None, duration: int, exc: BaseException | None
) -> dict[Atom, Any]:
    return {
        Atom("name"): clean(span.name[:_MOST_NAME]),
        Atom("trace_id"): span.trace_id,
        Atom("span_id"): span.span_id,
        Atom("parent_id"): parent.span_id if parent else None,
        Atom("start"): span._start,
        Atom("duration"): duration,
        Atom("attributes"): plain(span.attributes),
        Atom("error"): _error(exc),
        Atom("dropped"): _dropped,
    }


def _error(exc: BaseException | None) -> list[str] | None:
    """A generator that is closed has done nothing wrong."""
    if exc is None or isinstance(exc, GeneratorExit):
        return None
    message = said(exc)  # type: ignore[arg-type]
    return [clean(full_name(type(exc))), clean(message[:_MOST_MESSAGE])]


def traceparent() -> str | None:
    """What erlang.traceparent does."""
    span = _open(current.get())
    if span is None:
        return None
    return f"00-{span.trace_id}-{span.span_id}-{span.flags:02x}"


def join(text: str) -> None:
    """Go on in somebody's trace; for task/span.c.  py_option has checked it."""
    _, trace_id, span_id, flags = text.split("-")
    current.set(_Remote(trace_id, span_id, int(flags, 16)))


if _erlang is not None:
    _erlang.spans(current)
