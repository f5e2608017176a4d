# SPDX-License-Identifier: Apache-2.0
"""Makes objects simpler until they are of a type that the C encoder knows.

The encoder takes the core types and the classes of this package itself.  For
any other object it calls `lower`, again and again, until it has one of those.
What is done with a class is found once and remembered.
"""

from __future__ import annotations

import sys
from weakref import WeakKeyDictionary

from . import Atom, BitString, Fun, ImproperList, Pid, Port, Reference
from . import _library
from ._form import Form, Unsuited, imported
from ._names import full_name, said

TYPE_CHECKING = False  # importing typing would take longer than all the rest
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from ._form import Lower

_found: WeakKeyDictionary[type, Lower] = WeakKeyDictionary()

# The user's own encoders: functions of the object.
_registered: WeakKeyDictionary[type, Callable[[Any], Any]] = WeakKeyDictionary()

# What the C encoder takes.
_CORE = (
    str,
    int,
    float,
    bool,
    type(None),
    list,
    tuple,
    dict,
    bytes,
    bytearray,
    set,
    frozenset,
    Atom,
    BitString,
    Fun,
    ImproperList,
    Pid,
    Port,
    Reference,
)


def register(
    cls: type, function: Callable[[Any], Any]
) -> Callable[[Any], Any]:
    """What erlang.encoder does."""
    if not isinstance(cls, type):
        raise TypeError(f"no class to encode: {full_name(type(cls))}")
    if cls in _CORE:
        raise ValueError(f"how {full_name(cls)} is encoded cannot be changed")
    if not callable(function):
        raise TypeError(f"no function: {full_name(type(function))}")
    _registered[cls] = function
    _found.clear()
    return function


def lower(obj: Any, form: Form) -> Any:
    """Something simpler than `obj`; or `obj`, to be sent as its core base.

    Raises TypeError for what has no term, and when the code that should make
    it simpler raises: then with that exception as its cause.
    """
    cls = type(obj)
    try:
        function = _found.get(cls)
        if function is None:
            function = _found[cls] = _find(cls)
        return function(obj, form)
    except Unsuited as exc:
        why = str(exc) or _advice(cls)
        raise TypeError(f"cannot encode {full_name(cls)}{why}") from None
    except (MemoryError, RecursionError):
        raise
    except Exception as exc:
        why = f"{full_name(type(exc))}: {said(exc)}"
        raise TypeError(f"cannot encode {full_name(cls)}: {why}") from exc


def _advice(cls: type) -> str:
    """What to do about an object that nothing can encode."""
    if hasattr(cls, "__await__"):
        return ": it has to be awaited, as asyncio.run(...) does"
    if hasattr(cls, "__next__"):
        return ": it is an iterator; list(...) makes a list of it"
    if hasattr(cls, "__anext__"):
        return ": it is an asynchronous iterator; make a list of its items"
    if hasattr(cls, "toarray"):
        return ": toarray() makes an array of it"
    return ": register how with erlang.encoder"


def _find(cls: type) -> Lower:
    """The first rule that knows the class; the user's own rules come first.

    Only an encoder for `object`, which would know them all, comes last.
    """
    user = _user(cls.__mro__[:-1])
    if user:
        return user
    for rule in (_enum, _frames, _numpy, _dataclass, _library.rule, _core):
        function = rule(cls)
        if function:
            return function
    return _buffer_or(_library.abstract(cls) or _user((object,)))


def _user(classes: Iterable[type]) -> Lower | None:
    for cls in classes:
        function = _registered.get(cls)
        if function:
            return lambda obj, _, function=function: function(obj)  # type: ignore[misc]
    return None


def _enum(cls: type) -> Lower | None:
    if issubclass(cls, imported("enum", "Enum")):
        return lambda obj, _: obj.value
    return None


def _frames(cls: type) -> Lower | None:
    if "pandas" not in sys.modules and "pyarrow" not in sys.modules:
        return None
    from . import _frames

    return _frames.rule(cls)


def _numpy(cls: type) -> Lower | None:
    if "numpy" not in sys.modules:
        return None
    from . import _arrays

    return _arrays.rule(cls)


def _dataclass(cls: type) -> Lower | None:
    if not hasattr(cls, "__dataclass_fields__"):
        return None
    fields = imported("dataclasses", "fields")(cls)
    # In one order, so that maps which are equal have equal bytes: see keys.c.
    names = sorted(field.name for field in fields)
    return lambda obj, _: {name: getattr(obj, name) for name in names}


def _core(cls: type) -> Lower | None:
    return (lambda obj, _: obj) if issubclass(cls, _CORE) else None


def _buffer_or(last: Lower | None) -> Lower:
    """The object's memory; where it gives no access to that, the last rule."""
    from ._arrays import of_buffer

    def lower_it(obj: Any, form: Form) -> Any:
        try:
            return of_buffer(obj, form)
        except Unsuited:
            if last is None:
                raise
            return last(obj, form)

    return lower_it
