# SPDX-License-Identifier: Apache-2.0
"""What an exception has in it besides its message, as plain values."""

from __future__ import annotations

from . import Atom, Cancelled
from ._names import clean, short_name

TYPE_CHECKING = False  # importing typing would take memory in every worker
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List

# Attributes that programs look at, and that are no part of an instance's dict:
# those of built-in exceptions, and properties of well-known libraries.
_KNOWN = (
    *("errno", "strerror", "filename", "filename2"),  # OSError
    *("returncode", "cmd", "stdout", "stderr"),  # subprocess
    *("code", "status", "status_code", "reason"),  # SystemExit, HTTP
    *("name", "path"),  # NameError, AttributeError, ImportError
    *("value", "key"),  # StopIteration
    *("encoding", "object", "start", "end"),  # UnicodeError
)

# What a SyntaxError has is its position already.
_ELSEWHERE = {"args", "msg", "lineno", "offset", "end_lineno", "end_offset", "text"}

# How much is said of one value: items, and characters or bytes, in all.
_MOST = 20_000
_MOST_TEXT = 10_000
_MOST_REPR = 200
_MOST_ITEMS = 100
_DEPTH = 4

_CONTAINERS = (list, tuple, dict, set, frozenset)
_KEYS = (int, str, Atom)


# Not exc.args: its class may have its own idea of that.
_args_of = vars(BaseException)["args"].__get__


def args(exc: BaseException) -> List[Any]:
    """The arguments that the exception was made with."""
    return [_Cut().plain(arg, _DEPTH) for arg in _args_of(exc)[:_MOST_ITEMS]]


def attributes(exc: BaseException) -> Dict[str, Any]:
    """The known attributes, and those that its class or whoever raised it has set.

    What is private, callable or None is left out.
    """
    found = ((name, get(exc, name)) for name in _names(exc))
    return {
        name: _Cut().plain(value, _DEPTH)
        for name, value in found
        if value is not None and not callable(value)
    }


def _names(exc: BaseException) -> Iterator[str]:
    own = get(exc, "__dict__")
    names = list(own)[:_MOST_ITEMS] if type(own) is dict else []
    hidden = _ELSEWHERE if issubclass(type(exc), SyntaxError) else {"args"}
    for name in dict.fromkeys((*_KNOWN, *names)):
        if type(name) is str and not name.startswith("_") and name not in hidden:
            yield clean(name)


def get(exc: BaseException, name: str) -> Any:
    """The attribute; None if there is none, or a property fails, however it does."""
    try:
        return getattr(exc, name, None)
    except Cancelled:
        raise
    except BaseException:
        return None


def plain(value: Any) -> Any:
    """The value as whoever is told of it can take it: what is long is cut."""
    return _Cut().plain(value, _DEPTH)


class _Cut:
    """Makes a value plain until it has said enough."""

    def __init__(self) -> None:
        self.room = _MOST

    def plain(self, value: Any, depth: int) -> Any:
        """The value if it is of a core type, at most this deep; else its repr."""
        kind = type(value)
        self.room -= 1
        if issubclass(kind, _CONTAINERS):
            return self._items(value, depth - 1 if self.room > 0 else -1)
        if value is None or kind in (bool, int, float):
            return value
        if kind is bytes:
            return self._text(value, _MOST_TEXT)
        if kind in (str, Atom):
            return clean(self._text(str(value), _MOST_TEXT))
        return clean(self._text(_repr(value), _MOST_REPR))

    def _items(self, value: Any, depth: int) -> Any:
        """Not their repr, which might be endless."""
        kind = type(value)
        if depth >= 0 and kind in (list, tuple):
            return kind(self.plain(item, depth) for item in value[:_MOST_ITEMS])
        if depth >= 0 and kind is dict:
            return {
                self._key(key): self.plain(item, depth)
                for key, item in list(value.items())[:_MOST_ITEMS]
            }
        base = next(cls for cls in _CONTAINERS if issubclass(kind, cls))
        size = vars(base)["__len__"](value)
        return self._text(f"<{short_name(kind)} of {size}>", _MOST_REPR)

    def _key(self, key: Any) -> Any:
        """Not a and b"a", which would be equal in Erlang."""
        return self.plain(key if type(key) in _KEYS else _repr(key), 0)

    def _text(self, text: Any, most: int) -> Any:
        text = text[: max(0, min(most, self.room))]
        self.room -= len(text)
        return text


def _repr(value: Any) -> str:
    try:
        return repr(value)
    except Cancelled:
        raise
    except BaseException as failure:
        raised = short_name(type(failure))
        return f"<{short_name(type(value))}: repr() raised {raised}>"
