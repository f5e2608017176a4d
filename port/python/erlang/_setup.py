# SPDX-License-Identifier: Apache-2.0
"""What a worker does to its interpreter before the first request."""

from __future__ import annotations

import io
import sys

import erlang
from erlang import _log, _output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def setup() -> None:
    """Make printed lines appear at once: nobody flushes a worker."""
    # Since 3.13 the first traceback does this: too late, when a file of the
    # user's may have that name.
    __import__("tokenize")
    for name in ("stdout", "stderr"):
        # A sitecustomize may have put something else there, or nothing.
        if not isinstance(getattr(sys, name), io.TextIOWrapper):
            setattr(sys, name, getattr(sys, f"__{name}__"))
        getattr(sys, name).reconfigure(
            line_buffering=True, errors="backslashreplace"
        )
    _output.install()
    _log.install()
    _prepare_main(sys.modules["__main__"])


def _prepare_main(main: Any) -> None:
    """Code there knows this package.  In a process that multiprocessing
    spawns, `_main` is what has the place of that module."""
    main.erlang = erlang
    # ModuleSpec, without an import of the module that has it.
    spec: Any = type(erlang.__spec__)
    main.__spec__ = spec("erlang._main", None)
