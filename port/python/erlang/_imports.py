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

# Who follows which module: an import may fail at any moment, and be done again.
_callbacks: Dict[str, Callback] = {}


class _Watch:
    """A finder on sys.meta_path that finds what the others would find."""

    def find_spec(
        self, name: str, path: Any = None, target: Any = None
    ) -> ModuleSpec | None:
        if name not in _callbacks:
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
    """Call back when this loader has run the module: if that fails, so does the
    import.

    Frozen modules have a class for theirs, and old loaders run none.  A loader
    may run others, too.
    """
    run: Any = getattr(loader, "exec_module", None)
    if run is None or isinstance(loader, type):
        return

    def exec_module(module: ModuleType) -> None:
        vars(loader).pop("exec_module", None)
        run(module)
        if module.__name__ == name:
            _callbacks[name](module)

    try:
        loader.exec_module = exec_module
    except AttributeError:
        pass  # it has no room for another


_finder = _Watch()


def watch(name: str, callback: Callback) -> None:
    """Call back with this module: now, and whenever it has been imported."""
    _callbacks[name] = callback
    if name in sys.modules:
        callback(sys.modules[name])
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
