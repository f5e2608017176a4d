# SPDX-License-Identifier: Apache-2.0
"""Keeps Python code from killing the Erlang VM by accident.

`os.kill` and `os.killpg` refuse the VM, its helper that starts programs, their
process groups, and "every process".  What is no accident passes: a shell, a C
library.  See docs/security.md.
"""

from __future__ import annotations

import functools
import os

TYPE_CHECKING = False  # importing typing takes memory
if TYPE_CHECKING:
    from typing import Callable


def _parent_of(pid: int) -> int:
    """The parent of a process; 0 where that cannot be known."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return int(stat.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except OSError:
        return 0


def _guarded(
    kill: Callable[[int, int], None], forbidden: frozenset[int]
) -> Callable[[int, int], None]:
    @functools.wraps(kill)
    def guarded(pid: int, signal: int, /) -> None:
        if signal != 0 and pid in forbidden:
            raise PermissionError(
                f"this would signal the Erlang VM ({kill.__name__} {pid}):"
                " the pool's option guard forbids it"
            )
        return kill(pid, signal)

    return guarded


def install() -> None:
    """Guard the processes above this one.  The first process is nobody's VM."""
    helper = os.getppid()
    above = {pid for pid in (helper, _parent_of(helper)) if pid > 1}
    own = os.getpgrp()
    groups = {_group_of(pid) for pid in above} - {0, own}
    everybody = {-1}
    by_kill = above | everybody | {-group for group in groups}
    os.kill = _guarded(os.kill, frozenset(by_kill))
    os.killpg = _guarded(os.killpg, frozenset(groups))
