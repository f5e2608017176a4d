# SPDX-License-Identifier: Apache-2.0
"""Channels: {py_channel, Pid}."""

from __future__ import annotations

import _erlang

from . import Atom, Error, _milliseconds, encoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Any

    from . import Pid


class Channel:
    """What Erlang and Python talk by; see py_channel in Erlang.

    Each side may be so many messages ahead of the other, and then waits.  It
    ends when either side closes it, or with the process that has made it.
    Iterating over it receives until then.  What ends in _async is the same
    for coroutines, and so is `async for`: the event loop goes on meanwhile.
    """

    __slots__ = ("_pid", "_is_bytes", "_none")
    __module__ = "erlang"

    def __init__(
        self, pid: Pid, is_bytes: bool = False, none: str = "none"
    ) -> None:
        self._pid = pid
        self._is_bytes = is_bytes
        self._none = none

    def send(self, term: object, timeout: float | None = None) -> None:
        """Send a message, or wait until there is room for it.

        Raises BrokenPipeError when the channel is closed, and TimeoutError
        when there is no room for so many seconds.
        """
        self._ask((Atom("send"), term, _limit(timeout)))

    def receive(self, timeout: float | None = None) -> Any:
        """Wait for the next message, and return it.

        Raises EOFError when the channel is closed and there are no more, and
        TimeoutError when there is none for so many seconds.
        """
        question = Atom("recv"), _limit(timeout)
        return self._ask(question, EOFError)[0]

    async def send_async(
        self, term: object, timeout: float | None = None
    ) -> None:
        """The same as send, in a coroutine."""
        await self._answer((Atom("send"), term, _limit(timeout)))

    async def receive_async(self, timeout: float | None = None) -> Any:
        """The same as receive, in a coroutine."""
        question = Atom("recv"), _limit(timeout)
        return (await self._answer(question, EOFError))[0]

    def close(self) -> None:
        """Nobody sends any more; what was sent can still be received."""
        try:
            self._ask(Atom("close"))
        except BrokenPipeError:
            pass  # it has ended

    def _ask(
        self, question: object, closed: type[Exception] = BrokenPipeError
    ) -> Any:
        try:
            return _erlang.channel(
                self._pid, question, self._is_bytes, self._none
            )
        except Error as error:
            raise _failure(error, closed) from None

    async def _answer(
        self, question: object, closed: type[Exception] = BrokenPipeError
    ) -> Any:
        from ._aio import answer

        try:
            return await answer(
                _erlang.ask_channel,
                self._pid,
                question,
                self._is_bytes,
                self._none,
            )
        except Error as error:
            raise _failure(error, closed) from None

    def __iter__(self) -> Iterator[Any]:
        while True:
            try:
                message = self.receive()
            except EOFError:
                return
            yield message

    async def __aiter__(self) -> AsyncIterator[Any]:
        while True:
            try:
                message = await self.receive_async()
            except EOFError:
                return
            yield message

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Channel):
            return NotImplemented
        return self._pid == other._pid

    def __hash__(self) -> int:
        return hash(self._pid)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._pid, self._is_bytes, self._none)

    def __repr__(self) -> str:
        return f"<erlang.Channel {self._pid!r}>"


def _failure(error: Error, closed: type[Exception]) -> Exception:
    if error.reason == "closed":
        return closed("the channel is closed")
    if error.reason == "timeout":
        return TimeoutError("the other side of the channel is not in time")
    if error.reason == "elsewhere":
        return ValueError("the channel is used by another worker")
    return error


def _limit(timeout: float | None) -> object:
    ms = _milliseconds(timeout)
    return Atom("infinity") if ms is None else ms


@encoder(Channel)
def _encoded(channel: Channel) -> tuple[Atom, Pid]:
    return Atom("py_channel"), channel._pid
