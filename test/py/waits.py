# SPDX-License-Identifier: Apache-2.0
"""Coroutines that wait, count, print, refuse to end or hold up their loop."""

import asyncio
import contextvars
import os
import re
import threading
import time

import erlang


async def echo(value, seconds=0.0):
    await asyncio.sleep(seconds)
    return value


async def fail(text):
    await asyncio.sleep(0)
    raise ValueError(text)


class Empty(Exception):
    """An error that is false."""

    def __len__(self):
        return 0


async def fail_empty(text):
    raise Empty(text)


class Unbound:
    """A proxy of nothing, which does not say what it is."""

    def __await__(self):
        yield from ()

    @property
    def __class__(self):
        raise RuntimeError("of no class")


async def _ends_badly():
    try:
        await asyncio.sleep(0)
    finally:
        raise ValueError("at the end")


def half():
    """A coroutine that has begun already."""
    coroutine = _ends_badly()
    coroutine.send(None)
    return coroutine


async def leave(code):
    raise SystemExit(code)


async def itself():
    return asyncio.current_task().cancel() or await asyncio.sleep(1)


class Later:
    """Something else that can be awaited."""

    def __await__(self):
        yield from asyncio.sleep(0).__await__()
        return "later"


class Cursor:
    """Can be awaited, and gives its items only to `async for`."""

    def __await__(self):
        yield from asyncio.sleep(0).__await__()
        return 17

    async def __aiter__(self):
        yield 1
        yield 2


now = most = begun = 0


async def count(seconds):
    """How many of these are there at most?"""
    global now, most, begun
    begun += 1
    now += 1
    most = max(now, most)
    try:
        await asyncio.sleep(seconds)
    finally:
        now -= 1


async def confess(path, seconds):
    """Writes down how it ends."""
    open(path + ".started", "w").close()
    how = "done"
    try:
        await asyncio.sleep(seconds)
    except BaseException as error:
        how = type(error).__name__
        raise
    finally:
        with open(path, "w") as file:
            file.write(how)


async def stubborn(seconds):
    """Hears that it is cancelled, and takes its time."""
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        await asyncio.sleep(seconds)
    return "at last"


async def tell(name, times):
    for _ in range(times):
        print(name)
        await asyncio.sleep(0.01)
    return name


async def block(seconds):
    time.sleep(seconds)
    return seconds


async def block_gil():
    re.match("(a+)+b", "a" * 64)


async def thread():
    return threading.current_thread() is threading.main_thread()


async def fork(path):
    """The child ends with this step of the loop."""
    if os.fork() == 0:
        with open(path, "a") as file:
            file.write("child ")
    await asyncio.sleep(0.2)
    with open(path, "a") as file:
        file.write("parent ")
    return os.getpid()


def child():
    """The exit code of one that is forked in an ordinary call."""
    pid = os.fork()
    if pid == 0:
        return None
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


async def items(n, path=None, seconds=0.0):
    """Writes down how it ends.  Without seconds it only stands still at a yield."""
    how = "done"
    try:
        for i in range(n):
            if seconds is not None:
                await asyncio.sleep(seconds)
            yield i
    except BaseException as error:
        how = type(error).__name__
        raise
    finally:
        await asyncio.sleep(0)
        if path:
            with open(path, "w") as file:
                file.write(how)


gates = {}


def gate(name):
    return gates.setdefault(name, asyncio.Event())


async def open_gate(name):
    gate(name).set()


async def gated(name, n, path=None):
    """The first item is there at once, each other waits."""
    how = "done"
    try:
        for i in range(n):
            yield i
            await gate(name).wait()
    except BaseException as error:
        how = type(error).__name__
        raise
    finally:
        if path:
            with open(path, "w") as file:
                file.write(how)


async def out_of_memory(name):
    yield 1
    await gate(name).wait()
    raise MemoryError("no more")


loop = None


async def listed_behind(name, n):
    global loop
    loop = asyncio.get_running_loop()
    await gate(name).wait()
    return list(range(n))


def force_gate(name):
    """From another thread, while that stands there."""
    loop.call_soon_threadsafe(gate(name).set)


meetings = {}


async def meet(name, n, times):
    """Each item is there when n streams have come so far."""
    for i in range(times):
        there = meetings.setdefault((name, i), [])
        there.append(None)
        if len(there) == n:
            await open_gate((name, i))
        await gate((name, i)).wait()
        yield i


made = 0


async def bare(n):
    """Never waits."""
    global made
    for i in range(n):
        made += 1
        yield i


async def dodge(name):
    """Hears that it is to end, and goes on."""
    while not gate(name).is_set():
        try:
            yield "item"
            await gate(name).wait()
        except asyncio.CancelledError:
            pass


async def stubborn_items(name):
    """Hears that it is to end, and takes its time."""
    yield "item"
    try:
        await asyncio.sleep(60)
    finally:
        await gate(name).wait()


async def block_items(seconds):
    yield 0
    await asyncio.sleep(0.01)
    time.sleep(seconds)
    yield 1


async def own_names(variable=contextvars.ContextVar("own", default=0)):
    """Each step sees what the one before has set, in the same task."""
    for _ in range(3):
        variable.set(variable.get() + 1)
        await asyncio.sleep(0)
        yield [variable.get(), id(asyncio.current_task())]


async def selves():
    for _ in range(2):
        await asyncio.sleep(0)
        yield [erlang.self(), await erlang.call_async("who")]


async def asking(name, n):
    for i in range(n):
        yield await erlang.call_async(name, i)


async def traces(n):
    for _ in range(n):
        await asyncio.sleep(0)
        yield erlang.traceparent()


async def spanned(name):
    """A span stays open while others have theirs."""
    with erlang.span(name):
        yield erlang.traceparent()
        await asyncio.sleep(0.01)
        yield erlang.traceparent()


async def forking(path):
    yield os.getpid()
    if os.fork() == 0:
        with open(path, "a") as file:
            file.write("child ")
    yield os.getpid()
    await asyncio.sleep(0)
    with open(path, "a") as file:
        file.write("parent ")


async def odd_items():
    yield 1
    yield object()


async def sized(sizes):
    for size in sizes:
        yield b"x" * size


async def faulty():
    yield 1
    raise ValueError("no more")


class Countdown:
    """An asynchronous iterator that is no generator."""

    def __init__(self, n):
        self.n = n

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.n == 0:
            raise StopAsyncIteration
        self.n -= 1
        return self.n


async def listed(n):
    await asyncio.sleep(0)
    return list(range(n))


async def traced():
    await asyncio.sleep(0)
    return await asyncio.create_task(_traceparent())


async def _traceparent():
    return erlang.traceparent()


async def ask(name, *args, **kwargs):
    return await erlang.call_async(name, *args, **kwargs)


async def ask_all(name, n):
    return await asyncio.gather(*(erlang.call_async(name, i) for i in range(n)))


def ask_in_run(name, *args):
    return asyncio.run(ask(name, *args))


async def ask_carefully(name, *args):
    try:
        return await erlang.call_async(name, *args)
    except erlang.Error as error:
        return [error.class_, error.reason]


async def ask_briefly(name, *args):
    try:
        return await asyncio.wait_for(erlang.call_async(name, *args), 0.1)
    except asyncio.TimeoutError:
        return "too late"


async def who():
    """Whoever has called, here and in a thread that this starts."""
    await asyncio.sleep(0.05)
    return [erlang.self(), await asyncio.to_thread(erlang.self)]


async def apply(fun, *args):
    await asyncio.sleep(0.05)
    return [fun(*args), await erlang.call_async(fun, *args)]


class Model:
    """Made by a coroutine, and asked by others."""

    def __init__(self, factor):
        self.factor = factor

    async def times(self, x):
        await asyncio.sleep(0)
        return self.factor * x


async def load(factor):
    await asyncio.sleep(0.01)
    return Model(factor)
