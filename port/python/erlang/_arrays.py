# SPDX-License-Identifier: Apache-2.0
"""numpy's arrays and scalars, and other memory that holds numbers."""

from __future__ import annotations

import struct
import sys

from . import Atom, _Memory
from ._form import Unsuited, imported
from ._times import span

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._form import Form, Lower

# The letters of struct, by what numpy calls their kind.
_KINDS = {
    letter: kind
    for kind, letters in {
        "i": "bhilqn",
        "u": "BHILQN",
        "f": "efd",
        "b": "?",
    }.items()
    for letter in letters
}


def rule(cls: type) -> Lower | None:
    if issubclass(cls, imported("numpy", "ndarray")):
        return _array
    if issubclass(cls, imported("numpy", "generic")):
        return _scalar
    return None


# ---- numpy ----


def _scalar(obj: Any, form: Form) -> Any:
    dtype = obj.dtype
    if dtype.names is not None or dtype.kind in "Mm":
        return nested(imported("numpy", "asarray")(obj))
    item = obj.item()
    if isinstance(item, imported("numpy", "generic")):
        raise Unsuited(f": no term for {dtype}")
    return item


def _array(obj: Any, form: Form) -> Any:
    return binary(obj) if form.binary else nested(obj)


def nested(obj: Any) -> Any:
    """Nested lists, as deep as the array has dimensions."""
    if obj.dtype.names is not None:
        return _structures(obj)
    if obj.dtype.kind in "Mm":
        return _times(obj)
    return obj.tolist()


def binary(obj: Any) -> Any:
    """{ndarray, Dtype, Shape, Bytes}, if the bytes say it all; else lists."""
    dtype = obj.dtype
    if dtype.hasobject or dtype.names is not None:
        return nested(obj)
    if isinstance(obj, imported("numpy.ma", "MaskedArray")):
        return nested(obj)
    return Atom("ndarray"), dtype.str, obj.shape, _bytes_of(obj)


def _bytes_of(obj: Any) -> Any:
    """The array's own memory, so that nothing is copied here.

    Not all items have a format that a buffer may have, but plain bytes have.
    """
    if obj.nbytes == 0:
        return _Memory(b"")
    plain = imported("numpy", "asarray")(obj)
    return _Memory(plain.view(f"V{obj.itemsize}"))


def _structures(obj: Any) -> Any:
    """A map for each structure: its fields keep their names."""
    names = obj.dtype.names
    if isinstance(obj, imported("numpy.ma.core", "mvoid")):
        return dict(zip(names, obj.tolist()))
    flat = obj.reshape(-1)
    columns = [nested(flat[name]) for name in names]
    rows = [dict(zip(names, row)) for row in zip(*columns)]
    return _nest(rows, obj.shape)


def _times(obj: Any) -> Any:
    """ISO 8601; None where there is no time, or it is masked."""
    numpy = sys.modules["numpy"]
    flat = numpy.asarray(obj).reshape(-1)
    missing = numpy.isnat(flat)
    if isinstance(obj, imported("numpy.ma", "MaskedArray")):
        missing |= numpy.ma.getmaskarray(obj).reshape(-1)
    unit, step = numpy.datetime_data(obj.dtype)
    if obj.dtype.kind == "M":
        items = numpy.datetime_as_string(flat).tolist()
    else:
        items = flat.astype("i8").tolist()
    texts: list[str | None] = []
    for item, no in zip(items, missing.tolist()):
        text = item if isinstance(item, str) or no else span(item * step, unit)
        texts.append(None if no else text)
    return _nest(texts, obj.shape)


# ---- other memory ----


def of_buffer(obj: Any, form: Form) -> Any:
    """What an object's memory holds, if it gives access to that: bytes, or
    numbers."""
    try:
        view = memoryview(obj)
    except TypeError:
        raise Unsuited from None
    letter = view.format.lstrip("@=<>!^")
    if letter in ("B", "c") and view.ndim <= 1:
        return view
    shape = view.shape or ()
    if letter == "c" and view.c_contiguous:
        view, letter = view.cast("B").cast("B", shape), "B"
    return _numbers(view, letter, form)


def _numbers(view: memoryview, letter: str, form: Form) -> Any:
    kind = _KINDS.get(letter)
    if kind is None:
        what = f": its items are neither bytes nor numbers but {view.format!r}"
        raise Unsuited(what)
    if form.binary:
        dtype = _order(view) + kind + str(view.itemsize)
        return Atom("ndarray"), dtype, view.shape, _Memory(view)
    try:
        return view.tolist()
    except NotImplementedError:  # in another order of bytes
        return _unpacked(view)


def _order(view: memoryview) -> str:
    if view.itemsize == 1:
        return "|"
    if view.format[0] in "<>":
        return view.format[0]
    if view.format[0] == "!":
        return ">"
    return "<" if sys.byteorder == "little" else ">"


def _unpacked(view: memoryview) -> Any:
    items = struct.iter_unpack(view.format, view.tobytes())
    return _nest([item for item, in items], view.shape or ())


def _nest(items: list[Any], shape: tuple[int, ...]) -> Any:
    if not shape:
        return items[0]
    if len(shape) == 1:
        return items
    n = len(items) // shape[0] if shape[0] else 0
    parts = [items[i * n : (i + 1) * n] for i in range(shape[0])]
    return [_nest(part, shape[1:]) for part in parts]
