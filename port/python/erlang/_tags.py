# SPDX-License-Identifier: Apache-2.0
"""Tagged tuples that stand for what has no term of its own.

    {complex, Re, Im}               {timedelta, Days, Seconds, Microseconds}
    {date, {Y, M, D}}               {decimal, Text}
    {time, {H, M, S}, Us, Offset}   {float, nan | infinity | neg_infinity}
    {datetime, {{Y, M, D}, {H, M, S}}, Us, Offset}
    {ndarray, Dtype, Shape, Bytes}

Offset is in seconds, or none.  A time or datetime may come without Us and
Offset.  Whatever else has such a tag is an ordinary tuple.
"""

from __future__ import annotations

from . import Atom, BadArg
from ._form import Unsuited

TYPE_CHECKING = False
if TYPE_CHECKING:
    import datetime
    import decimal
    from collections.abc import Callable
    from typing import Any

_DAY = 86400


# ---- from Python ----


def _offset(span: datetime.timedelta | None) -> int | None:
    if span is None:
        return None
    if span.microseconds:
        raise Unsuited(": its offset from UTC is not in whole seconds")
    return span.days * _DAY + span.seconds


def _clock(obj: datetime.datetime | datetime.time) -> tuple[Any, ...]:
    return obj.hour, obj.minute, obj.second


def of_date(obj: datetime.date) -> tuple[Any, ...]:
    return Atom("date"), (obj.year, obj.month, obj.day)


def of_time(obj: datetime.time) -> tuple[Any, ...]:
    offset = _offset(obj.utcoffset())
    return Atom("time"), _clock(obj), obj.microsecond, offset


def of_datetime(obj: datetime.datetime) -> tuple[Any, ...]:
    both = (obj.year, obj.month, obj.day), _clock(obj)
    offset = _offset(obj.utcoffset())
    return Atom("datetime"), both, obj.microsecond, offset


def of_timedelta(obj: datetime.timedelta) -> tuple[Any, ...]:
    return Atom("timedelta"), obj.days, obj.seconds, obj.microseconds


def of_decimal(obj: decimal.Decimal) -> tuple[Any, ...]:
    return Atom("decimal"), str(obj)


def of_complex(obj: complex) -> tuple[Any, ...]:
    return Atom("complex"), obj.real, obj.imag


# ---- from Erlang ----


def revive(parts: tuple[Any, ...]) -> Any:
    """What a tuple stands for; NotImplemented for an ordinary tuple.

    Binaries in it are bytes.
    """
    try:
        return _REVIVE[parts[0]](*parts[1:])
    except BadArg:
        raise
    except (TypeError, ValueError, ArithmeticError, LookupError):
        return NotImplemented


def _ints(parts: Any, count: int) -> tuple[int, ...]:
    """So many integers in a tuple."""
    if type(parts) is not tuple or len(parts) != count:
        raise ValueError
    if any(type(part) is not int for part in parts):
        raise ValueError
    return parts


def _zone(offset: int | None) -> datetime.timezone | None:
    import datetime

    if offset is None:
        return None
    _ints((offset,), 1)
    return datetime.timezone(datetime.timedelta(seconds=offset))


def _to_date(parts: Any) -> datetime.date:
    import datetime

    return datetime.date(*_ints(parts, 3))


def _to_time(parts: Any, *fraction: Any) -> datetime.time:
    import datetime

    us, offset = fraction or (0, None)  # both or none
    hour, minute, second, us = _ints(parts, 3) + _ints((us,), 1)
    return datetime.time(hour, minute, second, us, _zone(offset))


def _to_datetime(parts: Any, *fraction: Any) -> datetime.datetime:
    import datetime

    us, offset = fraction or (0, None)
    date, time = parts
    all_parts = _ints(date, 3) + _ints(time, 3) + _ints((us,), 1)
    return datetime.datetime(*all_parts, _zone(offset))  # type: ignore[misc, arg-type]


def _to_timedelta(*parts: Any) -> datetime.timedelta:
    import datetime

    days, seconds, us = _ints(parts, 3)
    if not (0 <= seconds < _DAY and 0 <= us < 10**6):
        raise ValueError
    return datetime.timedelta(days, seconds, us)


def _to_decimal(text: Any) -> decimal.Decimal:
    import decimal

    # Decimal itself takes blanks and underscores, too.
    if type(text) is not bytes or set(text) & set(b"_ \t\n\r\v\f"):
        raise ValueError
    context = decimal.Context(traps=[decimal.InvalidOperation])
    return decimal.Decimal(text.decode("ascii"), context)


def _to_float(name: Any) -> float:
    if type(name) is not Atom:
        raise ValueError
    return _FLOATS[name]


def _part(value: Any) -> float:
    return value if type(value) is float else _to_float(value)


def _to_complex(re: Any, im: Any) -> complex:
    return complex(_part(re), _part(im))


def _to_ndarray(dtype: Any, shape: Any, data: Any) -> Any:
    if type(dtype) is not bytes or type(data) is not bytes:
        raise ValueError
    shape = _ints(shape, len(shape))
    try:
        import numpy
    except ImportError as exc:
        raise BadArg(f"{{ndarray, ...}} needs numpy: {exc}") from None
    try:
        kind = numpy.dtype(dtype.decode("ascii"))
    except Exception:  # a SyntaxError, too
        raise ValueError from None
    size = kind.itemsize
    for n in shape:
        size *= n
    if kind.hasobject or kind.itemsize == 0 or size != len(data):
        raise ValueError
    return numpy.ndarray(shape, kind, data)


_FLOATS = {
    "nan": float("nan"),
    "infinity": float("inf"),
    "neg_infinity": float("-inf"),
}

_REVIVE: dict[str, Callable[..., Any]] = {
    "complex": _to_complex,
    "date": _to_date,
    "datetime": _to_datetime,
    "decimal": _to_decimal,
    "float": _to_float,
    "ndarray": _to_ndarray,
    "time": _to_time,
    "timedelta": _to_timedelta,
}

# What only this module and the C decoder give a meaning.
TAGS = frozenset(_REVIVE) | {"bytes", "iter", "py_channel", "py_handle"}
