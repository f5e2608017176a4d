# SPDX-License-Identifier: Apache-2.0
"""Functions that raise, each in its own way, for the tests of errors."""

from __future__ import annotations


class Refused(Exception):
    """An exception class of the user's own."""


class Status(Exception):
    """An exception with attributes, one of them a property."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(status, body)
        self.status, self.body = status, body
        self._private = "nobody's business"

    @property
    def code(self) -> int:
        return 7

    @property
    def reason(self) -> str:
        raise RuntimeError("no reason")


class Mute:
    """What cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class Unprintable(Exception):
    """An exception whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def plain() -> None:
    """A built-in exception with a text."""
    raise ValueError("plain trouble")


def deeper(levels: int) -> None:
    """The same from some calls down."""
    if levels:
        deeper(levels - 1)
    else:
        plain()


def refused() -> None:
    """An exception of the user's own class."""
    raise Refused("not today")


def timeout() -> None:
    """An exception that is named like what Erlang says itself."""
    raise type("timeout", (Exception,), {})("no such thing")


def status(number: int, body: object) -> None:
    """An exception with attributes."""
    raise Status(number, body)


def odd() -> None:
    """An exception whose attributes are large, or not what they seem to be."""
    error = Status(1, None)
    circle: list[object] = [1]
    circle.append(circle)
    vars(error).update(
        circle=circle,
        long="x" * 100_000,
        bytes=b"x" * 100_000,
        many=[[[[list(range(500))] * 500] * 500] * 500] * 500,
        keys={"a": 1, b"a": 2, 1: 3, "\ud800": 4},
        mute=Mute(),
        thing=object(),
        method=len,
    )
    raise error


class Leaving:
    """What ends the program when it is shown."""

    def __repr__(self) -> str:
        raise SystemExit


class Long(list):  # type: ignore[type-arg]
    """A list whose length cannot be had."""

    def __len__(self) -> int:
        raise RuntimeError("no length")


class Liar:
    """What says that it is a list."""

    __class__ = list  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "<raiser.Liar>"


class Hostile(Exception):
    """An exception with attributes that fail, each in its own way."""

    def __getattribute__(self, name: str) -> object:
        if name in ("args", "code", "__cause__", "__notes__", "__traceback__"):
            raise KeyboardInterrupt
        if name == "__dict__":
            return {"fine": 1, "missing": 2}
        if name == "fine":
            return 1
        raise RuntimeError(name)


def hostile() -> None:
    """An exception of which little can be asked."""
    raise Hostile(Leaving(), Long([1]), Liar()) from KeyError("cause")


def unprintable() -> None:
    """An exception whose str() raises."""
    raise Unprintable()


def surrogate() -> None:
    """A text that is not UTF-8."""
    raise ValueError("lone \ud800 surrogate")


def caused() -> None:
    """An exception raised from another."""
    try:
        plain()
    except ValueError as error:
        raise KeyError("outer") from error


def during() -> None:
    """An exception raised while another was being handled."""
    try:
        plain()
    except ValueError:
        {}["missing"]


def suppressed() -> None:
    """An exception whose context is hidden on purpose."""
    try:
        plain()
    except ValueError:
        raise RuntimeError("alone") from None


def circular() -> None:
    """A chain of causes that bites its own tail."""
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    raise first


def long_chain(length: int) -> None:
    """A chain of causes of this length."""
    error: Exception | None = None
    for number in range(length):
        following = ValueError(str(number))
        following.__cause__ = error
        error = following
    assert error is not None
    raise error


def noted() -> None:
    """An exception with notes (Python 3.11 and newer)."""
    error = ValueError("with notes")
    error.add_note("first note")
    error.add_note("second note")
    raise error


def group() -> None:
    """Several exceptions at once (Python 3.11 and newer)."""
    raise ExceptionGroup("two of them", [ValueError("one"), KeyError("two")])  # noqa: F821


def leave(code: object) -> None:
    """A SystemExit: an error like others, not the end of the worker."""
    raise SystemExit(code)


def interrupt() -> None:
    """A KeyboardInterrupt, which is no Exception."""
    raise KeyboardInterrupt


def endless() -> None:
    """A recursion without end."""
    endless()


def new_class(number: int) -> None:
    """An exception of a class that did not exist before, one for each number."""
    raise type(f"Fresh{number}Error", (Exception,), {})("new")
