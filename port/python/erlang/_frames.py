# SPDX-License-Identifier: Apache-2.0
"""Tables and columns: those of pandas and of pyarrow.

Imported only if one of these has been imported.
"""

from __future__ import annotations

import sys

from . import _arrays, _tags, _times
from ._form import Unsuited, imported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._form import Form, Lower


def rule(cls: type) -> Lower | None:
    for module, rows in (("pandas", _PANDAS), ("pyarrow", _PYARROW)):
        for name, function in rows if module in sys.modules else ():
            if issubclass(cls, _class(module, name)):
                return function
    return None


def _class(module: str, name: str) -> Any:
    """A class; or that of a value, which has no name of its own."""
    found: Any = sys.modules[module]
    for part in name.split("."):
        found = getattr(found, part, ())
    return found if isinstance(found, (type, tuple)) else type(found)


def _table(
    names: list[Any], columns: list[Any], length: int, form: Form
) -> Any:
    """Maps, one for each row; or one that has the columns."""
    if len(set(names)) < len(names):
        raise Unsuited(": two columns have the same name")
    if form.frames != "records":
        return dict(zip(names, columns))
    if not names:
        return [{} for _ in range(length)]
    rows = zip(*(_listed(column) for column in columns))
    return [dict(zip(names, row)) for row in rows]


def _binary_columns(form: Form) -> bool:
    columns = form.binary and form.frames == "columns"
    return columns or form.frames == "arrays"


def _listed(column: Any) -> Any:
    return column if isinstance(column, list) else _arrays.nested(column)


# ---- pandas ----


def _has_labels(index: Any) -> bool:
    """False if it only counts the rows from 0."""
    if not isinstance(index, imported("pandas", "RangeIndex")):
        return True
    return (index.start, index.step, index.name) != (0, 1, None)


def _column(values: Any, binary: bool) -> Any:
    """An array; or a list, with None for what is missing, if the type is one
    of pandas' own.  Times are such a list unless bytes are wanted."""
    dtype = values.dtype
    if isinstance(dtype, imported("numpy", "dtype")):
        if binary or dtype.kind not in "mM":
            return values.to_numpy()
    missing = values.isna().tolist()
    return [None if no else x for x, no in zip(list(values), missing)]


def _frame(obj: Any, form: Form) -> Any:
    if _has_labels(obj.index):
        obj = obj.reset_index()
    binary = _binary_columns(form)
    columns = [_column(obj.iloc[:, i], binary) for i in range(obj.shape[1])]
    if binary:
        columns = [
            c if isinstance(c, list) else _arrays.binary(c) for c in columns
        ]
    return _table(list(obj.columns), columns, len(obj), form)


def _series(obj: Any, form: Form) -> Any:
    if not _has_labels(obj.index):
        return _column(obj, form.binary)
    labels, values = _column(obj.index, False), _column(obj, False)
    return list(zip(_listed(labels), _listed(values)))


def _values(obj: Any, form: Form) -> Any:
    return _column(obj, form.binary)


def _timestamp(obj: Any, form: Form) -> Any:
    if form.tags and not obj.nanosecond:
        return _tags.of_datetime(obj)
    return obj.isoformat()


def _timedelta(obj: Any, form: Form) -> Any:
    if form.tags and not obj.nanoseconds:
        return _tags.of_timedelta(obj)
    return _times.timedelta(obj, obj.nanoseconds)


def _text(obj: Any, form: Form) -> str:
    return str(obj)


def _none(obj: Any, form: Form) -> None:
    return None


_PANDAS: tuple[tuple[str, Lower], ...] = (
    ("NaT", _none),
    ("NA", _none),
    ("DataFrame", _frame),
    ("Series", _series),
    ("Index", _values),
    ("Timestamp", _timestamp),
    ("Timedelta", _timedelta),
    ("Period", _text),
    ("Interval", _text),
    ("api.extensions.ExtensionArray", _values),  # Categorical is one
)


# ---- pyarrow ----


def _arrow_binary(column: Any) -> Any:
    types = sys.modules["pyarrow"].types
    if column.null_count == 0 and (
        types.is_integer(column.type) or types.is_floating(column.type)
    ):
        return _arrays.binary(column.to_numpy())
    return _arrow_list(column)


def _arrow_list(column: Any) -> Any:
    return column.to_pylist()


def _arrow_table(obj: Any, form: Form) -> Any:
    lower = _arrow_binary if _binary_columns(form) else _arrow_list
    columns = [lower(column) for column in obj.columns]
    return _table(list(obj.schema.names), columns, obj.num_rows, form)


def _arrow_values(obj: Any, form: Form) -> Any:
    return _arrow_binary(obj) if form.binary else _arrow_list(obj)


def _arrow_scalar(obj: Any, form: Form) -> Any:
    return obj.as_py()


_PYARROW: tuple[tuple[str, Lower], ...] = (
    ("Table", _arrow_table),
    ("RecordBatch", _arrow_table),
    ("ChunkedArray", _arrow_values),
    ("Array", _arrow_values),
    ("Scalar", _arrow_scalar),
)
