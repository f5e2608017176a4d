# SPDX-License-Identifier: Apache-2.0
"""The state that workers and Erlang share."""

from __future__ import annotations

import sys
from _collections_abc import MutableMapping

from . import _in_worker

TYPE_CHECKING = False  # importing typing would take memory in every worker
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

_NO_DEFAULT = object()


def _ask(op: str, *args: object) -> list[Any]:
    """What Erlang answers; arrays need numpy to come back as arrays."""
    program = _in_worker("state")
    return program.state(op, list(args), "numpy" in sys.modules)  # type: ignore[no-any-return]


def _text(prefix: str | None) -> str | None:
    if prefix is None or isinstance(prefix, str):
        return prefix
    raise TypeError(f"a prefix is a str, not {type(prefix).__name__}")


def _pages(op: str, prefix: str | None) -> Iterator[list[Any]]:
    """What one answer has no room for; each says where the next one begins."""
    place = None
    while True:
        place, *page = _ask(op, _text(prefix), place)
        yield page
        if place is None:
            return


class State(MutableMapping):  # type: ignore[type-arg]
    """Values that all workers and Erlang share, by their keys.

    It is used like a dict, but each operation asks Erlang, and is atomic:

        erlang.state["rate"] = 0.2
        erlang.state.increment("hits")
        for key, value in erlang.state.items("user:"):
            ...

    A value is converted when it is put and when it is got, and comes back as
    what it was: to change what is in it, put it anew, or use `change`.  Keys
    are the same if they are the same in Erlang, where 1, 1.0 and True are
    three keys, and so are "a" and Atom("a").

    The pool's option `state` has to allow it.  Raises Error when it does not,
    or when there is no more room.
    """

    __slots__ = ()

    def __getitem__(self, key: Any) -> Any:
        found = _ask("get", key)
        if not found:
            raise KeyError(key)
        return found[0]

    def get(self, key: Any, default: Any = None) -> Any:
        """The value of a key, or the default."""
        found = _ask("get", key)
        return found[0] if found else default

    def __setitem__(self, key: Any, value: Any) -> None:
        _ask("put", key, value)

    def __delitem__(self, key: Any) -> None:
        self.pop(key)

    def __contains__(self, key: Any) -> bool:
        return bool(_ask("has", key)[0])

    def __len__(self) -> int:
        return int(_ask("size")[0])

    def __iter__(self) -> Iterator[Any]:
        return self.keys()

    def keys(self, prefix: str | None = None) -> Iterator[Any]:  # type: ignore[override]
        """The keys, or those that are texts and begin with the prefix.

        They come in pages, and others may change the state meanwhile.
        """
        for page in _pages("keys", prefix):
            yield from page

    def items(self, prefix: str | None = None) -> Iterator[tuple[Any, Any]]:  # type: ignore[override]
        """The same keys, each with its value."""
        for page in _pages("items", prefix):
            yield from zip(page[::2], page[1::2])

    def values(self, prefix: str | None = None) -> Iterator[Any]:  # type: ignore[override]
        """The values of the same keys."""
        for page in _pages("items", prefix):
            yield from page[1::2]

    def pop(self, key: Any, default: Any = _NO_DEFAULT) -> Any:
        """Delete a key and return its value; one of several gets it."""
        found = _ask("take", key)
        if not found and default is _NO_DEFAULT:
            raise KeyError(key)
        return found[0] if found else default

    def popitem(self) -> tuple[Any, Any]:
        """Delete any key and return it with its value."""
        for key in self:
            found = _ask("take", key)
            if found:
                return key, found[0]
        raise KeyError("the state is empty")

    def clear(self, prefix: str | None = None) -> None:
        """Delete all keys, or those that are texts and begin with the prefix."""
        for _ in _pages("clear", prefix):
            pass

    def put_new(self, key: Any, value: Any) -> bool:
        """Give a key a value if it has none: whether it had none."""
        return bool(_ask("replace", key, None, value)[0])

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """The value of a key, which gets the default if it has none."""
        while not self.put_new(key, default):
            found = _ask("get", key)
            if found:
                return found[0]
        return default

    def change(
        self,
        key: Any,
        function: Callable[[Any], Any],
        default: Any = _NO_DEFAULT,
    ) -> Any:
        """Make a key's value anew: `function(value)`, which is returned.

        The function gets the default if there is none.  It is called again if
        somebody else has changed the value meanwhile, so it should do nothing
        but compute.
        """
        while True:
            found = _ask("get", key)
            if not found and default is _NO_DEFAULT:
                raise KeyError(key)
            value, version = found or (default, None)
            new = function(value)
            if _ask("replace", key, version, new)[0]:
                return new

    def compare_and_set(self, key: Any, old: Any, new: Any) -> bool:
        """Give a key a new value if its value is `old`: whether it was."""
        return bool(_ask("compare_and_set", key, old, new)[0])

    def increment(self, key: Any, by: float = 1) -> Any:
        """Add a number to a key's value, or to 0; return the sum."""
        return _ask("add", key, by)[0]

    def __repr__(self) -> str:
        return "<erlang.state>"


state = State()
