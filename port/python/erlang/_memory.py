# SPDX-License-Identifier: Apache-2.0
"""Tracing of a worker's memory: switched on, and what it found."""

from __future__ import annotations

import tracemalloc

from erlang import Atom
from erlang._names import clean


def trace(frames: int) -> None:
    """Trace allocations, and keep `frames` frames of each.

    If tracing is on with another number of frames, it begins anew and forgets
    what it had: tracemalloc.start() alone would change nothing.
    """
    if tracemalloc.is_tracing() and tracemalloc.get_traceback_limit() != frames:
        tracemalloc.stop()
    tracemalloc.start(frames)


def top(n: int) -> list[dict[Atom, object]]:
    """The n lines of source whose live allocations are the largest.

    Raises RuntimeError if tracing is off.
    """
    snapshot = tracemalloc.take_snapshot().filter_traces(
        (tracemalloc.Filter(False, tracemalloc.__file__),)
    )
    return [
        {
            Atom("file"): clean(line.traceback[0].filename),
            Atom("line"): line.traceback[0].lineno,
            Atom("size"): line.size,
            Atom("count"): line.count,
        }
        for line in snapshot.statistics("lineno")[:n]
    ]
