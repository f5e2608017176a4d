# SPDX-License-Identifier: Apache-2.0
"""Spans of time and zones as text."""

from __future__ import annotations

from ._form import Unsuited

TYPE_CHECKING = False
if TYPE_CHECKING:
    import datetime

_SECONDS = {"W": 604800, "D": 86400, "h": 3600, "m": 60, "s": 1}
_DIGITS = {"ms": 3, "us": 6, "ns": 9, "ps": 12, "fs": 15, "as": 18}


def span(count: int, unit: str) -> str:
    """So many units, which are named as numpy does, as ISO 8601 has it."""
    if unit in _SECONDS:
        return _iso(count * _SECONDS[unit], 0)
    if unit in _DIGITS:
        return _iso(count, _DIGITS[unit])
    if unit in ("Y", "M"):  # these have no fixed length
        return f"{_sign(count)}P{abs(count)}{unit}"
    raise Unsuited(": a span of time without a unit")


def timedelta(obj: datetime.timedelta, nanoseconds: int = 0) -> str:
    """With as many nanoseconds more, which pandas has."""
    seconds = obj.days * 86400 + obj.seconds
    micros = seconds * 10**6 + obj.microseconds
    return _iso(micros * 1000 + nanoseconds, 9)


def zone(obj: datetime.tzinfo) -> str:
    """The zone's key, or what it calls itself where that is one name."""
    name = getattr(obj, "key", None) or obj.tzname(None)
    if not isinstance(name, str):
        raise Unsuited(": a time zone without a name")
    return name


def _sign(count: int) -> str:
    return "-" if count < 0 else ""


def _iso(count: int, digits: int) -> str:
    """A count of seconds with so many digits behind the point."""
    whole, part = divmod(abs(count), 10**digits)
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    last = str(seconds)
    if part:
        last += "." + f"{part:0{digits}}".rstrip("0")
    date = f"{days}D" if days else ""
    time = f"{hours}H" if hours else ""
    time += f"{minutes}M" if minutes else ""
    time += f"{last}S" if last != "0" else ""
    if not date and not time:
        return "PT0S"
    return f"{_sign(count)}P{date}" + (f"T{time}" if time else "")
