# SPDX-License-Identifier: Apache-2.0
"""Refuses to start a process by multiprocessing's `spawn` or `forkserver` that
would need what exec has defined.

The new process would fail before it runs anything, and a pool would replace it,
for ever.  What is sent to a process that runs is left to `_main`.
"""

from __future__ import annotations

import sys
from multiprocessing import context, reduction
from multiprocessing.reduction import ForkingPickler

from erlang._main import _refuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Pickler(ForkingPickler):
    def reducer_override(self, obj: Any) -> Any:
        """Called for each object; what is pickled by its name has this one."""
        if callable(obj) and getattr(obj, "__module__", None) == "__main__":
            name = getattr(obj, "__qualname__", None)
            # No module helps a lambda: pickle says what is the matter.
            if isinstance(name, str) and "<" not in name:
                _refuse(name)
        return NotImplemented


def _is_ours(pickler: type) -> bool:
    """A program that runpy runs has a `__main__` that can be imported, and a
    pickler of the user's may know what to do with functions."""
    spec = sys.modules["__main__"].__spec__
    return pickler is ForkingPickler and (
        getattr(spec, "name", None) == "erlang._main"
        and context.get_spawning_popen() is not None
    )


def _dump(obj: Any, file: Any, protocol: Any = None) -> None:
    pickler: Any = reduction.ForkingPickler
    (_Pickler if _is_ours(pickler) else pickler)(file, protocol).dump(obj)


def install() -> None:
    """Have the process object pickled by `_dump`, unless the user has a dump of
    his own."""
    if reduction.dump.__module__ == reduction.__name__:
        reduction.dump = _dump
