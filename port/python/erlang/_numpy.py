# SPDX-License-Identifier: Apache-2.0
"""Tells the program when numpy is imported, without importing it."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # importing these would take memory in every worker
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any, Callable

    Callback = Callable[[ModuleType], None]

# numpy's module in C: since 2.0, and before.
MODULES = ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath")


class _Watch:
    """A finder on sys.meta_path that finds what the usual one would find."""

    def __init__(self, callback: Callback) -> None:
        self._callback = callback

    def find_spec(
        self, name: str, path: Any = None, target: Any = None
    ) -> ModuleSpec | None:
        if name not in MODULES:
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            self._follow(spec.loader)
        return spec

    def _follow(self, loader: Any) -> None:
        run = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            self._callback(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)

        loader.exec_module = exec_module


def watch(callback: Callback) -> None:
    """Call back with numpy's module in C, once there is one."""
    for name in MODULES:
        if name in sys.modules:
            callback(sys.modules[name])
            return
    sys.meta_path.insert(0, _Watch(callback))
