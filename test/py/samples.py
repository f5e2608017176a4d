# SPDX-License-Identifier: Apache-2.0
"""Values of every kind that may come back to Erlang, for the tests of the value tables."""

from __future__ import annotations

import collections
import dataclasses
import enum
import typing

import erlang


class Colour(enum.Enum):
    """An enumeration of texts."""

    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    """An enumeration of numbers, which are int too."""

    LOW = 1
    HIGH = 2


Point = collections.namedtuple("Point", ["x", "y"])


@dataclasses.dataclass
class Reading:
    """A dataclass with another inside."""

    sensor: str
    colour: Colour
    points: list[Point]


@dataclasses.dataclass(frozen=True)
class Slotted:
    """A dataclass without a __dict__."""

    __slots__ = ("value",)
    value: int


class MyInt(int):
    """A subclass of a core type: goes as its core type."""


class MyStr(str):
    """A text of the user's own class."""


class MyList(list):
    """A list of the user's own class."""


class MyDict(dict):
    """A dict of the user's own class."""


class Celsius:
    """A class for which an encoder is registered."""

    def __init__(self, degrees: float) -> None:
        self.degrees = degrees


@erlang.encoder(Celsius)
def encode_celsius(value: Celsius) -> object:
    """What Erlang gets for a temperature."""
    return {"unit": "C", "degrees": value.degrees}


class Kelvin(Celsius):
    """A subclass of a class with an encoder."""


class BadlyEncoded:
    """A class whose encoder fails."""


@erlang.encoder(BadlyEncoded)
def encode_badly(value: BadlyEncoded) -> object:
    """An encoder that raises."""
    raise LookupError("no code for this")


class Opaque:
    """A class that nobody can encode."""


class BadRepr:
    """An object whose repr raises: an error message must do without it."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def nested(depth: int) -> list[typing.Any]:
    """A list in a list in a list …, so many levels deep."""
    value: list[typing.Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def nested_dict(depth: int) -> dict[str, typing.Any]:
    """A dict in a dict in a dict …, so many levels deep."""
    value: dict[str, typing.Any] = {}
    for _ in range(depth - 1):
        value = {"k": value}
    return value


def depth_of(value: typing.Any) -> int:
    """How many levels deep a nested list, tuple or dict is."""
    depth = 0
    while isinstance(value, (list, tuple, dict)):
        depth += 1
        if not value:
            break
        value = next(iter(value.values())) if isinstance(value, dict) else value[0]
    return depth


def cycle() -> list[typing.Any]:
    """A list that contains itself."""
    value: list[typing.Any] = []
    value.append(value)
    return value


def cyclic_dict() -> dict[str, typing.Any]:
    """A dict that contains itself."""
    value: dict[str, typing.Any] = {}
    value["self"] = value
    return value


def growing() -> list[int]:
    """A list whose length changes while an encoder of ours looks at it."""
    values: list[typing.Any] = []
    values.extend([1, Shrinker(values), 2, 3, 4])
    return values


class Shrinker:
    """Empties a list when it is encoded, as hostile code may."""

    def __init__(self, victim: list[typing.Any]) -> None:
        self.victim = victim


@erlang.encoder(Shrinker)
def encode_shrinker(value: Shrinker) -> object:
    """Empties the list that holds the object that is being encoded."""
    value.victim.clear()
    return "gone"


def identity(value: object) -> object:
    """What came in goes out."""
    return value
