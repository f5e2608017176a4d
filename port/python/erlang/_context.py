# SPDX-License-Identifier: Apache-2.0
"""What a context has in it, and a copy of that."""

from __future__ import annotations

import sys

from erlang._names import clean, full_name

TYPE_CHECKING = False  # importing these would take memory in every worker
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FunctionType, ModuleType
    from typing import Any

# Objects that are counted for one name.
_MOST = 100_000

_SEQUENCES = {list, tuple, set, frozenset}
_END = object()

# What a function has beside what it is made of; type parameters since Python 3.12.
_OF_FUNCTIONS = (
    "__kwdefaults__",
    "__qualname__",
    "__module__",
    "__doc__",
    "__type_params__",
)


def variables(module: ModuleType) -> list[tuple[str, str, int]]:
    """The names that code has defined there: each with its type and its bytes.

    Those of a list and its like are with all that is in it, but for what other
    objects keep.
    """
    return [
        (clean(name), clean(full_name(type(value))), size(value))
        for name, value in list(vars(module).items())
        if isinstance(name, str) and not _is_given(name, value)
    ]


def _is_given(name: str, value: Any) -> bool:
    """Whether it was there from the start, or Python has put it there."""
    return name.startswith("__") or (
        name == "erlang" and value is sys.modules.get("erlang")
    )


def size(value: Any) -> int:
    """How many bytes it has, with all that is in it if it is a list or its like."""
    total = 0
    seen: set[int] = set()
    todo: list[Iterator[Any]] = [iter((value,))]
    while todo and len(seen) < _MOST:
        item = _next(todo[-1])
        if item is _END:
            todo.pop()
        elif id(item) not in seen:
            seen.add(id(item))
            total += _own_size(item)
            todo += _parts(item)
    return total


def _next(items: Iterator[Any]) -> Any:
    try:
        return next(items, _END)
    except RuntimeError:
        return _END  # it has become larger or smaller: another thread has it, too


def _own_size(item: Any) -> int:
    try:
        return sys.getsizeof(item)
    except Exception:
        return 0  # its class has its own idea of that


def _parts(item: Any) -> list[Iterator[Any]]:
    if type(item) in _SEQUENCES:
        return [iter(item)]
    if type(item) is dict:
        return [iter(item), iter(item.values())]
    return []


# What copies were made of, how many of each there are whose names are needed, and
# which are closed but have such copies.
_sources: dict[ModuleType, ModuleType] = {}
_copies: dict[ModuleType, int] = {}
_closed: set[ModuleType] = set()


def copy(source: ModuleType, target: ModuleType) -> None:
    """Give target the names of source, for the same objects.

    But functions that see the names of source get twins that see those of
    target, and where source is meant, target is.
    """
    old, new = vars(source), vars(target)
    twins: dict[int, Any] = {id(source): target}
    for name, value in list(old.items()):
        if type(value) is type(copy) and value.__globals__ is old:
            if id(value) not in twins:
                twins[id(value)] = _twin(value, new)
        new[name] = twins.get(id(value), value)
    if "__annotations__" in old:
        new["__annotations__"] = dict(old["__annotations__"])
    _sources[target] = source
    _copies[source] = _copies.get(source, 0) + 1


def unneeded(closed: ModuleType) -> list[ModuleType]:
    """The contexts whose names nobody needs, now that this one is closed."""
    found = []
    at: ModuleType | None = closed
    _closed.add(closed)
    while at in _closed and at not in _copies:
        _closed.remove(at)
        found.append(at)
        at = _sources.pop(at, None)
        if at:
            _copies[at] -= 1
            if _copies[at] == 0:
                del _copies[at]
    return found


def _twin(function: FunctionType, names: dict[str, Any]) -> FunctionType:
    made: Any = type(function)(
        function.__code__,
        names,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    # Since Python 3.14 annotations are evaluated when somebody asks for them.
    late = "__annotate__" if hasattr(function, "__annotate__") else "__annotations__"
    for name in (*_OF_FUNCTIONS, late):
        if hasattr(function, name):
            setattr(made, name, getattr(function, name))
    made.__dict__.update(function.__dict__)
    return made  # type: ignore[no-any-return]


class StandIn(type(sys)):  # type: ignore[misc]
    """What sys.modules has as __main__ while code of a context runs.

    Whoever looks for names where a class was defined, as dataclasses and typing
    do, finds the context's.  All else is the worker's own __main__: pickle must
    not find there what nobody else could load.
    """

    def __init__(self, context: ModuleType) -> None:
        super().__init__("__main__")
        self._names = vars(context)
        self._main: Any = None

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        return self._names

    def __getattr__(self, name: str) -> Any:
        return getattr(self._main, name)

    def stand_for(self, main: Any) -> None:
        """The module that is there otherwise; None: there is none."""
        self._main = main
        self.__spec__ = getattr(main, "__spec__", None)
