# SPDX-License-Identifier: Apache-2.0
"""What a worker does to its interpreter before the first request."""

from __future__ import annotations

import io
import sys

import erlang
from erlang import _log, _output, _threads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# ModuleSpec, without an import of the module that has it.
_ModuleSpec: Any = type(erlang.__spec__)

# What is imported when it is used, and imports itself all that is.
_LATER = ("traceback", "tokenize", "threading", "erlang._logging")


def setup(now: bool) -> None:
    """Make printed lines appear at once: nobody flushes a worker.

    What a worker will need later is imported now if a file of the user's has
    the name of some of it.
    """
    if now:
        for name in _LATER:
            __import__(name)
    for name in ("stdout", "stderr"):
        # A sitecustomize may have put something else there, or nothing.
        if not isinstance(getattr(sys, name), io.TextIOWrapper):
            setattr(sys, name, getattr(sys, f"__{name}__"))
        getattr(sys, name).reconfigure(
            line_buffering=True, errors="backslashreplace"
        )
    _threads.install()
    _output.install()
    _log.install()
    _prepare_main(sys.modules["__main__"])


class _Spec(_ModuleSpec):
    """The name of `__main__` as multiprocessing knows it: in a process that it
    spawns, `_main` has the place of that module.

    It asks for the name when it is about to spawn.  So nothing has to watch for
    its import.
    """

    @property
    def name(self) -> str:
        if "multiprocessing.reduction" in sys.modules:
            from erlang import _spawn

            _spawn.install()
        return "erlang._main"

    @name.setter
    def name(self, name: str) -> None:
        """The name is what it is."""


def _prepare_main(main: Any) -> None:
    """Code there knows this package."""
    main.erlang = erlang
    main.__spec__ = _Spec("erlang._main", None)
