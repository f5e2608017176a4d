# SPDX-License-Identifier: Apache-2.0
"""Exceptions as plain values, for replies with the option `traceback`."""

from __future__ import annotations

import builtins
import os
import traceback
from collections import deque
from types import TracebackType

from . import Atom, Cancelled, _attributes, _source
from ._names import clean, full_name, short_name

TYPE_CHECKING = False  # importing typing would take memory in every worker
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, Iterator

    _Map = Dict[Atom, Any]

# Frames of one traceback that are kept from each of its ends.
_FRAMES = 250

# How deep causes of causes may go, and how many exceptions there may be in all,
# members of groups included.
_DEPTH = 16
_EXCEPTIONS = 64

_OWN = os.path.dirname(__file__) + os.sep

_GROUP = getattr(builtins, "BaseExceptionGroup", ())

# Not exc.__cause__ and so on: its class may have its own idea of attributes.
_OF = vars(BaseException)
_traceback_of = _OF["__traceback__"].__get__
_cause_of = _OF["__cause__"].__get__
_context_of = _OF["__context__"].__get__
_suppresses = _OF["__suppress_context__"].__get__

_POSITION = (
    (Atom("file"), "filename", str),
    (Atom("line"), "lineno", int),
    (Atom("offset"), "offset", int),
    (Atom("end_line"), "end_lineno", int),
    (Atom("end_offset"), "end_offset", int),
    (Atom("text"), "text", str),
)


def describe(exc: BaseException) -> _Map:
    """All that is known of an exception: atoms to values that can be sent.

    type, message and frames are always there; args, attributes, cause or
    context (what Python would print), notes, position (of a SyntaxError) and
    exceptions (of a group) where the exception has them; formatted is the whole
    as Python prints it.  Frames of this package are left out.  Raises nothing but
    Cancelled, whatever the exception's class does.
    """
    try:
        _source.show_all()
        trace = _Walk().trace(exc, 0)
        trace[Atom("formatted")] = clean(_formatted(exc))
        return trace
    except Cancelled:
        raise
    except BaseException as failure:
        why = f"<no traceback: {short_name(type(failure))} while it was made>"
        return {
            Atom("type"): _type_name(exc),
            Atom("message"): why,
            Atom("frames"): [],
        }


class _Walk:
    """One walk of bounded size over an exception and those linked to it."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def trace(self, exc: BaseException, depth: int) -> _Map:
        self.seen.add(id(exc))
        trace: _Map = {
            Atom("type"): _type_name(exc),
            Atom("message"): _message(exc),
            Atom("frames"): [_frame(f) for f in _frames(_traceback_of(exc))],
        }
        if args := _attributes.args(exc):
            trace[Atom("args")] = args
        if attributes := _attributes.attributes(exc):
            trace[Atom("attributes")] = attributes
        if notes := _notes(exc):
            trace[Atom("notes")] = notes
        if issubclass(type(exc), SyntaxError):
            trace[Atom("position")] = _position(exc)
        if depth < _DEPTH:
            self.add_linked(trace, exc, depth)
        return trace

    def add_linked(self, trace: _Map, exc: BaseException, depth: int) -> None:
        for name, other in _linked(exc):
            if self.wants(other):
                trace[name] = self.trace(other, depth + 1)
        if issubclass(type(exc), _GROUP):
            trace[Atom("exceptions")] = [
                self.trace(member, depth + 1)
                for member in _members(exc)
                if self.wants(member)
            ]

    def wants(self, exc: BaseException) -> bool:
        return id(exc) not in self.seen and len(self.seen) < _EXCEPTIONS


def _linked(exc: BaseException) -> Iterator[tuple[Atom, BaseException]]:
    """The exception that Python would print before this one."""
    cause, context = _cause_of(exc), _context_of(exc)
    if cause is not None:
        yield Atom("cause"), cause
    elif context is not None and not _suppresses(exc):
        yield Atom("context"), context


def _type_name(exc: BaseException) -> str:
    return clean(full_name(type(exc)))


def _message(exc: BaseException) -> str:
    try:
        return clean(str(exc))
    except Cancelled:
        raise
    except BaseException as failure:
        return f"<no message: str() raised {short_name(type(failure))}>"


def _members(exc: BaseException) -> tuple[BaseException, ...]:
    """What an exception group has in it."""
    if not issubclass(type(exc), _GROUP):
        return ()
    members: tuple[BaseException, ...] = vars(_GROUP)["exceptions"].__get__(exc)
    return members


def _notes(exc: BaseException) -> list[str]:
    notes = _attributes.get(exc, "__notes__")
    if type(notes) not in (list, tuple):
        return []
    return [clean(note) for note in notes if issubclass(type(note), str)]


def _position(exc: BaseException) -> _Map:
    position: _Map = {}
    for name, attribute, kind in _POSITION:
        value = _attributes.get(exc, attribute)
        if issubclass(type(value), kind):
            position[name] = clean(value) if kind is str else value
    return position


def _is_own(filename: str) -> bool:
    return filename.startswith(_OWN)


def _frames(tb: TracebackType | None) -> list[traceback.FrameSummary]:
    """The frames, outermost first; one of them may stand for many others."""
    first: list[Any] = []
    last: deque[Any] = deque(maxlen=_FRAMES)
    more = 0
    for pair in traceback.walk_tb(tb):
        if _is_own(pair[0].f_code.co_filename):
            continue
        if len(first) < _FRAMES:
            first.append(pair)
        else:
            more += 1
            last.append(pair)
    frames = [*_summaries(first), *_summaries(last)]
    if more > _FRAMES:
        text = f"{more - _FRAMES} frames are left out here"
        gap = traceback.FrameSummary("...", None, "...", line=text)
        frames.insert(_FRAMES, gap)
    return frames


def _summaries(pairs: Iterable[Any]) -> traceback.StackSummary:
    return traceback.StackSummary.extract(iter(pairs))


def _frame(frame: traceback.FrameSummary) -> _Map:
    described: _Map = {
        Atom("file"): clean(frame.filename),
        Atom("function"): clean(frame.name),
    }
    if frame.lineno is not None:
        described[Atom("line")] = frame.lineno
    if frame.line:
        described[Atom("text")] = clean(frame.line)
    return described


def _formatted(exc: BaseException) -> str:
    """As Python prints it; without linked exceptions if they are too many."""
    if _is_small(exc):
        try:
            return "".join(_python_format(exc))
        except Cancelled:
            raise
        except BaseException:
            pass  # the exception's class or an attribute plays tricks
    return "".join(
        [
            "Traceback (most recent call last):\n",
            *traceback.format_list(_frames(_traceback_of(exc))),
            f"{_type_name(exc)}: {_message(exc)}\n",
        ]
    )


def _python_format(exc: BaseException) -> Iterator[str]:
    tree = traceback.TracebackException(
        type(exc), exc, _traceback_of(exc), limit=-2 * _FRAMES, compact=True
    )
    _leave_out_own(tree)
    return tree.format()


def _is_small(exc: BaseException) -> bool:
    seen: set[int] = set()
    todo = [exc]
    while todo and len(seen) < _EXCEPTIONS:
        exc = todo.pop()
        if id(exc) not in seen:
            seen.add(id(exc))
            linked = _cause_of(exc), _context_of(exc)
            todo += [e for e in linked if e is not None]
            todo += _members(exc)
    return not todo


def _leave_out_own(tree: traceback.TracebackException) -> None:
    todo = [tree]
    while todo:
        tree = todo.pop()
        if tree.stack:
            tree.stack[:] = [f for f in tree.stack if not _is_own(f.filename)]
            tree.stack = tree.stack or None  # type: ignore[assignment]
        todo += [t for t in (tree.__cause__, tree.__context__) if t]
        todo += getattr(tree, "exceptions", None) or ()
