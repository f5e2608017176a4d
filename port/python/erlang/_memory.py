# SPDX-License-Identifier: Apache-2.0
"""Tracing of a worker's memory: switched on, and what it found."""

from __future__ import annotations

import _tracemalloc

from erlang import Atom
from erlang._names import clean

TYPE_CHECKING = False  # importing typing would take memory
if TYPE_CHECKING:
    from typing import Any


def trace(frames: int) -> None:
    """Trace allocations, and keep `frames` frames of each.

    If tracing is on with another number of frames, it begins anew and forgets
    what it had: tracemalloc.start() alone would change nothing.
    """
    if _tracemalloc.is_tracing() and _tracemalloc.get_traceback_limit() != frames:
        _tracemalloc.stop()
    _tracemalloc.start(frames)


def top(sums: list[tuple[Any, int, int]], n: int) -> list[dict[Atom, object]]:
    """The n lines of source whose live allocations are the largest.

    Of tracebacks, the innermost frame first, how many bytes and how often.
    """
    lines: dict[tuple[str, int], tuple[int, int]] = {}
    for traceback, size, count in sums:
        known = lines.get(traceback[0], (0, 0))
        lines[traceback[0]] = known[0] + size, known[1] + count
    largest = sorted(lines.items(), key=lambda line: line[1], reverse=True)
    return [
        {
            Atom("file"): clean(file),
            Atom("line"): line,
            Atom("size"): size,
            Atom("count"): count,
        }
        for (file, line), (size, count) in largest[:n]
    ]
