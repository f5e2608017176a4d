# SPDX-License-Identifier: Apache-2.0
"""Makes objects simpler until they are of a type that the C encoder knows.

The encoder takes the core types and the classes of this package itself.  For
any other object it calls `lower`, again and again, until it has one of those.
What is done with a class is found once and remembered.

No module is imported just to look: an object can only be a Decimal if somebody
has imported decimal.
"""

from __future__ import annotations

import sys
from weakref import WeakKeyDictionary

from . import Atom, BitString, Fun, ImproperList, Pid, Port, Reference
from ._names import full_name

TYPE_CHECKING = False  # importing typing would take longer than all the rest
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    # How objects of a class are lowered: a function of (object, arrays_binary).
    _Lower = Callable[[Any, bool], Any]

_found: WeakKeyDictionary[type, _Lower] = WeakKeyDictionary()

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

# Classes of the standard library that become text: module, class, method.
_TEXTS = (
    ("datetime", "date", "isoformat"),  # datetime.datetime is one
    ("datetime", "time", "isoformat"),
    ("decimal", "Decimal", "__str__"),
    ("fractions", "Fraction", "__str__"),
    ("pathlib", "PurePath", "__str__"),
    ("uuid", "UUID", "__str__"),
)


class _Unsuited(Exception):
    """There is no term for the object; the text may say why."""


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


def lower(obj: Any, arrays_binary: bool) -> Any:
    """Something simpler than `obj`; or `obj`, to be sent as its core base.

    Raises TypeError for what has no term, and when the code that should make
    it simpler raises: then with that exception as its cause.
    """
    cls = type(obj)
    try:
        function = _found.get(cls)
        if function is None:
            function = _found[cls] = _find(cls)
        return function(obj, arrays_binary)
    except _Unsuited as exc:
        raise TypeError(f"cannot encode {full_name(cls)}{exc}") from None
    except (MemoryError, RecursionError):
        raise
    except Exception as exc:
        why = f"{full_name(type(exc))}: {exc}"
        raise TypeError(f"cannot encode {full_name(cls)}: {why}") from exc


def _find(cls: type) -> _Lower:
    """The first rule that knows the class; the user's own rules come first.

    Only an encoder for `object`, which would know them all, comes last.
    """
    user = _user(cls.__mro__[:-1])
    if user:
        return user
    for rule in (_enum, _numpy, _dataclass, _text, _core):
        function = rule(cls)
        if function:
            return function
    last = _user((object,))
    return _buffer if last is None else _buffer_or(last)


def _imported(module: str, name: str) -> Any:
    """A class, if somebody has imported its module; else (), no class."""
    return getattr(sys.modules.get(module), name, ())


def _user(classes: Iterable[type]) -> _Lower | None:
    for cls in classes:
        function = _registered.get(cls)
        if function:
            return lambda obj, _, function=function: function(obj)  # type: ignore[misc]
    return None


def _enum(cls: type) -> _Lower | None:
    if issubclass(cls, _imported("enum", "Enum")):
        return lambda obj, _: obj.value
    return None


def _dataclass(cls: type) -> _Lower | None:
    if not hasattr(cls, "__dataclass_fields__"):
        return None
    fields = _imported("dataclasses", "fields")(cls)
    # In one order, so that maps which are equal have equal bytes: see keys.c.
    names = sorted(field.name for field in fields)
    return lambda obj, _: {name: getattr(obj, name) for name in names}


def _text(cls: type) -> _Lower | None:
    for module, name, method in _TEXTS:
        if issubclass(cls, _imported(module, name)):
            return lambda obj, _, method=method: getattr(obj, method)()  # type: ignore[misc]
    return None


def _core(cls: type) -> _Lower | None:
    return (lambda obj, _: obj) if issubclass(cls, _CORE) else None


def _buffer(obj: Any, _: bool) -> bytes:
    """The bytes of an object that gives access to its memory as bytes."""
    try:
        view = memoryview(obj)
    except TypeError:
        raise _Unsuited from None
    with view:
        if view.ndim > 1 or view.format.lstrip("@=<>!") not in ("B", "c"):
            raise _Unsuited(f": its items are not bytes but {view.format!r}")
        return view.tobytes()


def _buffer_or(last: _Lower) -> _Lower:
    def lower_it(obj: Any, arrays_binary: bool) -> Any:
        try:
            return _buffer(obj, arrays_binary)
        except _Unsuited:
            return last(obj, arrays_binary)

    return lower_it


def _numpy(cls: type) -> _Lower | None:
    if issubclass(cls, _imported("numpy", "ndarray")):
        return _array
    if issubclass(cls, _imported("numpy", "generic")):
        return _numpy_scalar
    return None


def _has_times(dtype: Any) -> bool:
    """Whether there are datetimes or timedeltas, even in a field of a field.

    Most of them would become bare integers.
    """
    base = dtype.base  # an array's items, where the field is one
    if base.names is None:
        return base.kind in "Mm"
    return any(_has_times(base[name]) for name in base.names)


def _numpy_scalar(obj: Any, _: bool) -> Any:
    if obj.dtype.kind == "M":
        return str(obj)  # ISO 8601; item() would not tell of nanoseconds
    item = obj.item()
    if _has_times(obj.dtype) or isinstance(item, _imported("numpy", "generic")):
        raise _Unsuited(f": no term for {obj.dtype}")
    return item


def _array(obj: Any, arrays_binary: bool) -> Any:
    if arrays_binary:
        return _array_bytes(obj)
    if obj.dtype.kind == "M":
        return _imported("numpy", "datetime_as_string")(obj).tolist()
    if _has_times(obj.dtype):
        raise _Unsuited(f": no term for {obj.dtype}")
    return obj.tolist()


def _array_bytes(obj: Any) -> tuple[Any, ...]:
    dtype = obj.dtype
    if dtype.hasobject or dtype.names is not None:
        raise _Unsuited(f": no binary for items of type {dtype}")
    if isinstance(obj, _imported("numpy.ma", "MaskedArray")):
        raise _Unsuited(": no binary that tells what is masked")
    return Atom("ndarray"), dtype.str, obj.shape, obj.tobytes()
