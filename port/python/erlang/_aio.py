# SPDX-License-Identifier: Apache-2.0
"""Awaits what jobs return, on a loop of asyncio in a thread of its own.

The thread is there from the first coroutine to the worker's end.  What is to be
done comes from C (talk/aio.c), which wakes the loop by a descriptor; the results
go back there.  All but `start`, `stop`, `wait`, `Lent`, `call` and `answer` runs in
the loop's thread.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
import threading
from collections.abc import Coroutine
from contextlib import suppress
from contextvars import Context, ContextVar
from functools import partial
from itertools import islice

import _erlang
from erlang import Cancelled, _output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
    from typing import Any, NoReturn

    # What is awaited, or the source of a stream; where it prints to, its span, and
    # where a stream's items go.  The last three may be None.
    Item = tuple[Any, Any, Any, Any]

# How long what is awaited has to end when the worker does (s).
_PATIENCE = 0.5
# How many begin in one round of the loop: others want the GIL, too.
_ROUND = 16

_starting = threading.Lock()
_loop: asyncio.AbstractEventLoop
_thread: threading.Thread | None = None
_most = 0
_ends = False
_is_child = False

# What goes on, and what waits for its turn, by their numbers; which of these were
# cancelled; and streams of which nothing more is wanted now.
_tasks: dict[int, asyncio.Task[Any]] = {}
_waiting: dict[int, Item] = {}
_cancelled: set[int] = set()
_parked: dict[int, asyncio.Future[None]] = {}

# Which of them this code belongs to; talk/aio.c asks.
number: ContextVar[int] = ContextVar("erlang.job", default=0)


_new_loop = asyncio.new_event_loop


def use(name: str) -> None:
    """Have the loop be one of this module's.  Called before anything is awaited."""
    global _new_loop
    _new_loop = importlib.import_module(name).new_event_loop


def start(news: int, most: int) -> None:
    """Start the loop, which looks for news when this descriptor is readable.

    An interrupt may have kept the call before from its end.
    """
    global _loop, _most, _thread
    with _starting:  # jobs on other threads may be here, too
        if _thread is not None and _thread.is_alive():
            return
        _most = most
        _loop = _new_loop()
        Context().run(_loop.add_reader, news, _look)  # not in that of this job
        _thread = threading.Thread(target=_run, name="asyncio", daemon=True)
        _thread.start()


def _run() -> None:
    """The thread.  What a task raises that nobody awaits may end run_forever."""
    asyncio.set_event_loop(_loop)
    while not _ends:
        error: BaseException | None = None
        try:
            _loop.run_forever()
        except BaseException as exc:
            error = exc
        if _is_child:
            _exit(error)
    _finish()


def _look() -> None:
    begun, cancelled, given, answered = _erlang.begun()
    for answer in answered:
        _settle_in_its_loop(*answer)
    for number, awaitable, captured, span, feed in begun:
        _waiting[number] = (awaitable, captured, span, feed)
    for number in given:
        if number in _parked:
            _settle(_parked[number], None, None)
    for number in cancelled:
        _cancel(number)
    _begin()


def _room() -> int:
    return max(0, _most - len(_tasks) + len(_parked))


def _begin() -> None:
    for n in list(islice(_waiting, min(_ROUND, _room()))):
        item = _waiting.pop(n)
        try:
            task = _task(n, *item)
        except BaseException as exc:  # it pretends to be something else
            _erlang.done(n, None, exc)
        else:
            _tasks[n] = task
            task.add_done_callback(partial(_done, n))
    if _waiting and _room():
        _loop.call_soon(_begin)


def _task(
    n: int, awaitable: Any, captured: Any, span: Any, feed: Any
) -> asyncio.Task[Any]:
    context = Context()
    context.run(number.set, n)
    if captured is not None:
        context.run(_output.captures_here().set, captured)
    context.run(_go_on, span)
    if feed is None:
        return context.run(_loop.create_task, _coroutine(awaitable))
    stream: Coroutine[Any, Any, Any] = _stream(n, feed, awaitable)
    task = context.run(_loop.create_task, stream)
    task.add_done_callback(lambda _: _close(awaitable))  # it may not have begun
    return task


def _go_on(span: Any) -> None:
    """If there is a span, its module is there, too."""
    if span is not None:
        sys.modules["erlang._span"].current.set(span)


def _coroutine(awaitable: Awaitable[Any]) -> Coroutine[Any, Any, Any]:
    if asyncio.iscoroutine(awaitable):
        return awaitable
    return _awaited(awaitable)


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _cancel(number: int) -> None:
    if number in _waiting:
        _loop.call_soon(_close, _waiting.pop(number)[0])
        _erlang.done(number, None, Cancelled())
    elif number in _tasks:
        _cancelled.add(number)
        _tasks[number].cancel()


def _close(awaitable: Any) -> None:
    """It may have begun elsewhere, and raise something, or pretend to be another."""
    if issubclass(type(awaitable), Coroutine):
        awaitable.close()


def _done(number: int, task: asyncio.Task[Any]) -> None:
    del _tasks[number]
    was_cancelled = number in _cancelled
    _cancelled.discard(number)
    if not task.cancelled():
        exc = task.exception()
        _erlang.done(number, task.result() if exc is None else None, exc)
    elif was_cancelled:
        _erlang.done(number, None, Cancelled())
    else:
        _erlang.done(number, None, asyncio.CancelledError())
    _begin()


def wait(awaitable: Awaitable[Any]) -> Any:
    """What the loop makes of it, for the main thread, which waits.

    If that is interrupted, so is what is awaited; it is over when this is.
    """
    over = threading.Event()
    tasks: list[asyncio.Task[Any]] = []

    def begin() -> None:
        tasks.append(_loop.create_task(_coroutine(awaitable)))
        tasks[0].add_done_callback(lambda _: over.set())

    def cancel() -> None:
        if tasks:
            tasks[0].cancel()
        else:
            over.set()  # it did not get so far

    try:
        _loop.call_soon_threadsafe(begin)
        over.wait()
    except BaseException:
        _loop.call_soon_threadsafe(cancel)
        over.wait()
        raise
    return tasks[0].result()


async def _stream(n: int, feed: Any, source: Any) -> None:
    """Sends the items of a source, while more of them are wanted.

    What it raises goes out behind the items before it.
    """
    if not _has(source, "__aiter__"):
        source = await source
    items = _items(source)
    try:
        await _demand(n, feed)
        async for item in items:
            await _put(n, feed, item)
    except asyncio.CancelledError:
        _erlang.flush(feed)
        await _end(items)
        raise
    except BaseException:
        _erlang.flush(feed)
        with suppress(BaseException):
            await _end(items)
        raise
    _erlang.flush(feed)


def _has(obj: Any, method: str) -> bool:
    return hasattr(type(obj), method)


def _items(source: Any) -> AsyncIterator[Any]:
    if _has(source, "__aiter__") and not _has(source, "__iter__"):
        return aiter(source)
    return _each(iter(source))


async def _each(items: Iterable[Any]) -> AsyncIterator[Any]:
    try:
        for item in items:
            yield item
    except BaseException:
        close = getattr(items, "close", None)
        if close is not None:
            close()
        raise


class Lent:
    """The items of what is kept, which the end of a stream does not close."""

    def __init__(self, items: AsyncIterator[Any]) -> None:
        self._items = items

    def __aiter__(self) -> Lent:
        return self

    def __anext__(self) -> Awaitable[Any]:
        return self._items.__anext__()


async def _put(n: int, feed: Any, item: Any) -> None:
    if n in _cancelled:  # and has not heeded that
        raise asyncio.CancelledError
    there = _erlang.put(feed, item)
    while there < 0:
        await _turn(n, feed)
        there = _erlang.put(feed, item)
    if there == 0:
        await _turn(n, feed)
    elif there == 1:
        _loop.call_soon(_flush, feed, 1)


def _flush(feed: Any, seen: int) -> None:
    """In the next round of the loop: nothing waits for an item that takes longer."""
    n = _erlang.flush(feed, seen)
    if n > 0:
        _loop.call_soon(_flush, feed, n)


async def _turn(n: int, feed: Any) -> None:
    """Others have their turn."""
    await asyncio.sleep(0)
    await _demand(n, feed)


async def _demand(n: int, feed: Any) -> None:
    """Stands still until more items are wanted, and counts for nothing meanwhile."""
    if _erlang.credit(feed):
        return
    _parked[n] = _loop.create_future()
    _begin()
    try:
        await _parked[n]
    finally:
        del _parked[n]


async def _end(items: AsyncIterator[Any]) -> None:
    """End a generator: its finally blocks run."""
    close = getattr(items, "aclose", None)
    if close is not None:
        await close()


async def call(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What erlang.call_async does, on whatever loop."""
    return await answer(_erlang.ask, function, args, kwargs)


async def answer(ask: Callable[..., int], *question: Any) -> Any:
    """What Erlang answers to that; if the task is cancelled, it is told."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    number = ask(future, *question)
    try:
        return await future
    finally:
        if future.cancelled() or not future.done():
            _erlang.forget(number)


def _settle_in_its_loop(future: asyncio.Future[Any], value: Any, exc: Any) -> None:
    loop = future.get_loop()
    if loop is _loop:
        _settle(future, value, exc)
    else:
        with suppress(RuntimeError):  # it is closed
            loop.call_soon_threadsafe(_settle, future, value, exc)


def _settle(future: asyncio.Future[Any], value: Any, exc: Any) -> None:
    if future.done():
        return
    if exc is None:
        future.set_result(value)
    else:
        future.set_exception(exc)


def stop() -> None:
    """The worker ends: so does all that is awaited, if it heeds that in time."""
    global _ends
    _ends = True
    _loop.call_soon_threadsafe(_loop.stop)
    if _thread is not None:
        _thread.join(_PATIENCE)


def _finish() -> None:
    """What asyncio.run does at its end."""
    for number in [*_waiting, *_tasks]:
        _cancel(number)
    tasks = asyncio.all_tasks(_loop)
    for task in tasks:
        task.cancel()
    try:
        if tasks:
            _loop.run_until_complete(asyncio.wait(tasks))
        _loop.run_until_complete(_loop.shutdown_asyncgens())
    finally:
        _loop.close()


def _forked() -> None:
    """A forked child has no tasks: it ends when the step that has forked does.

    What else was to run in this round of the loop runs in the parent alone.
    """
    global _is_child
    if _thread is not None and threading.get_ident() == _thread.ident:
        _is_child = True
        if hasattr(_loop, "_ready"):
            _loop._ready.clear()
            _loop.stop()
        else:
            _end_with_step()


def _end_with_step() -> None:
    """For a loop like uvloop's, which does not show what else is to run.

    It would also look for news, and take what is the parent's.  So the child
    ends as soon as the outermost function of the step does.
    """
    frame = sys._getframe()
    while frame.f_back and frame.f_back.f_code is not _run.__code__:
        frame = frame.f_back
    frame.f_trace = _Step()
    sys.settrace(lambda *_: None)


class _Step:
    """A trace function: exits when the function returns, raises or waits.

    A function that raises returns None here, as one may that has not raised.
    """

    _error: BaseException | None = None

    def __call__(self, frame: Any, event: str, arg: Any) -> _Step:
        if event == "exception":
            self._error = arg[1]
        elif event == "return":
            _exit(self._error if arg is None else None)
        return self


def _exit(error: BaseException | None) -> NoReturn:
    """As in a child of an ordinary job."""
    for output in _output.outputs:
        output.flush()
    code = 0
    if isinstance(error, SystemExit) and error.code is not None:
        code = error.code if isinstance(error.code, int) else 1
    os._exit(code)


os.register_at_fork(after_in_child=_forked)
