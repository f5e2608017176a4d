# SPDX-License-Identifier: Apache-2.0
"""Which objects there are: by type, and how that has changed."""

from __future__ import annotations

from collections.abc import Iterable

from erlang._names import clean, full_name

# How many types are told, and remembered: those that take most.
_TYPES = 10_000

# A type's name, its bytes, its count.
_Row = tuple[str, int, int]

_last: dict[str, tuple[int, int]] | None = None


def by_type(found: Iterable[tuple[type, int, int]]) -> list[_Row]:
    """The types whose objects take most; types with one name are one."""
    sums: dict[str, tuple[int, int]] = {}
    for cls, size, count in found:
        name = clean(full_name(cls))
        known = sums.get(name, (0, 0))
        sums[name] = (known[0] + size, known[1] + count)
    rows = [(name, size, count) for name, (size, count) in sums.items()]
    rows.sort(key=lambda row: row[1:], reverse=True)
    return rows[:_TYPES]


def growth(
    found: Iterable[tuple[type, int, int]],
) -> list[tuple[str, int, int, int, int]]:
    """The same with what has been added since the last time.

    The first time there is nothing to compare with, so nothing was added.
    """
    global _last
    rows = by_type(found)
    now = {name: (size, count) for name, size, count in rows}
    before, _last = (now if _last is None else _last), now
    gone = [(name, 0, 0) for name in before if name not in now]
    return [_grown(row, before.get(row[0], (0, 0))) for row in rows + gone]


def _grown(row: _Row, before: tuple[int, int]) -> tuple[str, int, int, int, int]:
    name, size, count = row
    return name, size, count, size - before[0], count - before[1]
