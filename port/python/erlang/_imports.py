# SPDX-License-Identifier: Apache-2.0
"""Tells when a module is imported, without importing it."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # importing these would take memory in every worker
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any, Callable, Dict

    Callback = Callable[[ModuleType], object]

# Who waits for which module.
_waiting: Dict[str, Callback] = {}


class _Watch:
    """A finder on sys.meta_path that finds what the others would find."""

    def find_spec(
        self, name: str, path: Any = None, target: Any = None
    ) -> ModuleSpec | None:
        if name not in _waiting:
            return None
        spec = self._found(name, path, target)
        if spec is not None:
            _follow(name, spec.loader)
        return spec

    def _found(self, name: str, path: Any, target: Any) -> Any:
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if finder is not self and find is not None:
                spec = find(name, path, target)
                if spec is not None:
                    return spec
        return None


def _follow(name: str, loader: Any) -> None:
    """Call back when this loader has run the module.

    Frozen modules have a class for theirs, and old loaders run none.
    """
    run: Any = getattr(loader, "exec_module", None)
    if run is None or isinstance(loader, type):
        return

    def exec_module(module: ModuleType) -> None:
        vars(loader).pop("exec_module", None)
        run(module)
        callback = _waiting.pop(name, None)
        if callback is not None:
            callback(module)

    try:
        loader.exec_module = exec_module
    except AttributeError:
        pass  # it has no room for another


def watch(name: str, callback: Callback) -> None:
    """Call back with this module: now, or once it is imported."""
    if name in sys.modules:
        callback(sys.modules[name])
        return
    _waiting[name] = callback
    if not any(isinstance(finder, _Watch) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Watch())
