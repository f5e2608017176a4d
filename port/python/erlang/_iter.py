# SPDX-License-Identifier: Apache-2.0
"""Iterators whose items come from Erlang: {iter, Pid}."""

from __future__ import annotations

import _erlang

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from . import Pid


def iterate(pid: Pid, is_bytes: bool, none: str) -> Iterator[Any]:
    """Ask the process for more items whenever there are none left."""
    while (items := _erlang.pull(pid, is_bytes, none)) is not None:
        yield from items
