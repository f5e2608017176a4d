# SPDX-License-Identifier: Apache-2.0
"""What is kept here for Erlang, and how large it is."""

from __future__ import annotations

from erlang import Atom
from erlang._context import size
from erlang._names import clean, full_name

TYPE_CHECKING = False  # importing these would take memory in every worker
if TYPE_CHECKING:
    from typing import Any


# The objects, by the numbers of their handles: see port/task/handle.c.
kept: dict[int, Any] = {}

# When they were kept.
times: dict[int, int] = {}


def _type_name(obj: Any) -> str:
    return clean(full_name(type(obj)))


def describe(obj: Any) -> dict[Atom, Any]:
    return {Atom("type"): _type_name(obj), Atom("bytes"): size(obj)}


def types(now: int) -> list[tuple[str, int, int, int]]:
    """The types of what is kept: the bytes of their objects, how many there are, and how
    long the oldest has been kept.
    """
    sums: dict[str, list[int]] = {}
    for number, obj in list(kept.items()):
        row = sums.setdefault(_type_name(obj), [0, 0, 0])
        row[0] += size(obj)
        row[1] += 1
        row[2] = max(row[2], now - times.get(number, now))
    return [(name, total, count, oldest) for name, (total, count, oldest) in sums.items()]
