# SPDX-License-Identifier: Apache-2.0
"""Classes of the standard library, and whatever behaves like a mapping, a
sequence or a set."""

from __future__ import annotations

from . import _tags, _times
from ._form import Unsuited, imported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._form import Form, Lower


def _str(obj: Any, form: Form) -> str:
    return str(obj)


def _names(obj: Any, form: Form) -> dict[str, Any]:
    return dict(vars(obj))


def _complex(obj: complex, form: Form) -> Any:
    return _tags.of_complex(obj)


def _datetime(obj: Any, form: Form) -> Any:
    return _tags.of_datetime(obj) if form.tags else obj.isoformat()


def _date(obj: Any, form: Form) -> Any:
    return _tags.of_date(obj) if form.tags else obj.isoformat()


def _time(obj: Any, form: Form) -> Any:
    return _tags.of_time(obj) if form.tags else obj.isoformat()


def _timedelta(obj: Any, form: Form) -> Any:
    return _tags.of_timedelta(obj) if form.tags else _times.timedelta(obj)


def _zone(obj: Any, form: Form) -> str:
    return _times.zone(obj)


def _decimal(obj: Any, form: Form) -> Any:
    return _tags.of_decimal(obj) if form.tags else str(obj)


def _letters(obj: Any, form: Form) -> Any:
    """An array.array of characters is text; others are numbers."""
    if obj.typecode in ("u", "w"):
        return obj.tounicode()
    from ._arrays import of_buffer

    return of_buffer(obj, form)


def _row(obj: Any, form: Form) -> dict[str, Any]:
    names = obj.keys()
    if len(set(names)) < len(names):
        raise Unsuited(": two columns have the same name")
    return dict(zip(names, obj))


# Module, class, how it is lowered.  What inherits from another one of these
# stands in front of it.
_CLASSES: tuple[tuple[str, str, Lower], ...] = (
    ("datetime", "datetime", _datetime),
    ("datetime", "date", _date),
    ("datetime", "time", _time),
    ("datetime", "timedelta", _timedelta),
    ("datetime", "tzinfo", _zone),
    ("decimal", "Decimal", _decimal),
    ("fractions", "Fraction", _str),
    ("pathlib", "PurePath", _str),
    ("uuid", "UUID", _str),
    ("ipaddress", "_IPAddressBase", _str),  # addresses, networks, interfaces
    ("builtins", "complex", _complex),
    ("collections", "UserString", _str),
    ("types", "SimpleNamespace", _names),
    ("array", "array", _letters),
    ("sqlite3", "Row", _row),
)


def rule(cls: type) -> Lower | None:
    for module, name, function in _CLASSES:
        if issubclass(cls, imported(module, name)):
            return function
    return None


# ---- abstract classes ----


def _dict(obj: Any, form: Form) -> dict[Any, Any]:
    return {key: obj[key] for key in obj}


def _list(obj: Any, form: Form) -> list[Any]:
    return list(obj)


_ABSTRACT: tuple[tuple[str, Lower], ...] = (
    ("Mapping", _dict),
    ("Sequence", _list),
    ("Set", _list),
    ("MappingView", _list),
)


def abstract(cls: type) -> Lower | None:
    if cls is memoryview:  # a sequence for Python, but then it was refused
        return None
    for name, function in _ABSTRACT:
        if issubclass(cls, imported("_collections_abc", name)):
            return function
    return None
