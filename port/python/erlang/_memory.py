# SPDX-License-Identifier: Apache-2.0
"""Where a worker's memory is, while tracing is on."""

from __future__ import annotations

import tracemalloc

from erlang import Atom


def top(n: int) -> list[dict[Atom, object]]:
    """The n lines of source whose live allocations are the largest.

    Raises RuntimeError when tracing is off.
    """
    snapshot = tracemalloc.take_snapshot().filter_traces(
        (tracemalloc.Filter(False, tracemalloc.__file__),)
    )
    return [
        {
            Atom("file"): line.traceback[0].filename,
            Atom("line"): line.traceback[0].lineno,
            Atom("size"): line.size,
            Atom("count"): line.count,
        }
        for line in snapshot.statistics("lineno")[:n]
    ]
