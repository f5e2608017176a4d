# SPDX-License-Identifier: Apache-2.0
"""What examples/progress.escript runs: long work that says how far it is."""

from __future__ import annotations

import collections.abc
import typing

import erlang

Tell = collections.abc.Callable[[int, int], typing.Any]


def primes(below: int, tell: Tell) -> int:
    """How many primes there are; `tell` hears of each tenth, and may say stop."""
    found: list[int] = []
    for n in range(2, below):
        if all(n % prime for prime in found if prime * prime <= n):
            found.append(n)
        if n % (below // 10) == 0 and tell(n, below) == erlang.Atom("stop"):
            break
    return len(found)
