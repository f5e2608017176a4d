# SPDX-License-Identifier: Apache-2.0
"""Where the traced memory that is in use was allocated."""

from __future__ import annotations

import os
from collections.abc import Iterable
from types import CodeType, FunctionType

from erlang import Atom
from erlang._names import clean

# How many tracebacks are kept, and behind them how many lines; and how many of
# a traceback's frames, the innermost ones.
_SITES = 10_000
_FRAMES = 32

_OWN = os.path.dirname(__file__) + os.sep

_Frame = tuple[str, int]
# The innermost frame comes first.
_Traceback = tuple[_Frame, ...]
_Sums = list[tuple[_Traceback, int, int]]


def sites(found: _Sums, functions: list[FunctionType]) -> dict[Atom, object]:
    """The tracebacks with most memory; what is behind them, by its line alone.

    `frames` are shown once; a site is the numbers of its frames, its bytes and
    its count.  `rest` is what has no site.  Frames of this package are left out.
    """
    sums = _ordered(sums for sums in found if not sums[0][0][0].startswith(_OWN))
    kept, rest = sums[:_SITES], sums[_SITES:]
    lines = _by_line(rest)
    kept += lines[:_SITES]
    frames: dict[_Frame, int] = {}
    kept_sites = [
        (
            [
                frames.setdefault(frame, len(frames))
                for frame in traceback[:_FRAMES]
                if not frame[0].startswith(_OWN)
            ],
            size,
            count,
        )
        for traceback, size, count in kept
    ]
    return {
        Atom("frames"): _described(frames, functions),
        Atom("sites"): kept_sites,
        Atom("rest"): _sum(lines[_SITES:]),
    }


def _by_line(sums: _Sums) -> _Sums:
    lines: dict[_Traceback, tuple[int, int]] = {}
    for traceback, size, count in sums:
        known = lines.get(traceback[:1], (0, 0))
        lines[traceback[:1]] = (known[0] + size, known[1] + count)
    return _ordered((line, size, count) for line, (size, count) in lines.items())


def _ordered(sums: Iterable[tuple[_Traceback, int, int]]) -> _Sums:
    return sorted(sums, key=lambda found: found[1:], reverse=True)


def _sum(sums: _Sums) -> tuple[int, int]:
    return sum(size for _, size, _ in sums), sum(count for _, _, count in sums)


# ---- functions


def _described(
    frames: Iterable[_Frame], functions: list[FunctionType]
) -> list[dict[Atom, object]]:
    names = _names(frames, functions)
    return [
        {
            Atom("file"): clean(file),
            Atom("line"): line,
            Atom("function"): clean(names.get((file, line), "<module>")),
        }
        for file, line in frames
    ]


def _names(
    frames: Iterable[_Frame], functions: list[FunctionType]
) -> dict[_Frame, str]:
    """What functions the lines are in; code that is in none is not there."""
    wanted: dict[str, set[int]] = {}
    for file, line in frames:
        wanted.setdefault(file, set()).add(line)
    names: dict[_Frame, str] = {}
    seen: set[int] = set()
    for function in functions:
        code = function.__code__
        if code.co_filename in wanted and id(code) not in seen:
            seen.add(id(code))
            lines = wanted[code.co_filename]
            _name_lines(code, function.__qualname__, lines, names)
    return names


def _name_lines(
    code: CodeType, name: str, lines: set[int], names: dict[_Frame, str]
) -> None:
    """Names the lines of a function, and of those in it.

    The line of an inner function's `def` belongs to the outer one, and so does
    what has no name of its own: a comprehension, a lambda.
    """
    if not code.co_name.startswith("<"):
        name = getattr(code, "co_qualname", name)
    for line in {line for _, _, line in code.co_lines() if line in lines}:
        if line == code.co_firstlineno:
            names.setdefault((code.co_filename, line), name)
        else:
            names[code.co_filename, line] = name
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            # A code object of 3.10 only knows the last part of its name.
            inner_name = f"{name}.<locals>.{inner.co_name}"
            if inner.co_name.startswith("<"):
                inner_name = name
            _name_lines(inner, inner_name, lines, names)
