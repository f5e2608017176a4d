# SPDX-License-Identifier: Apache-2.0
"""What runs on threads of a worker, for test/call/threads.escript."""

import ctypes
import gc
import os
import threading
import time

import erlang

local = threading.local()
seen = []
imports = []  # whatever slow_import says
barrier = threading.Barrier(4)
made = 0  # items
_libc = ctypes.CDLL(None)


def name():
    return threading.current_thread().name


def is_main():
    return threading.current_thread() is threading.main_thread()


def nap(seconds, value=None):
    time.sleep(seconds)
    return value


def begins(n):
    """Says that it has begun, and waits until Erlang lets it go on."""
    return erlang.call("begun", n)


def loop(seconds):
    """Runs Python code for so long."""
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            time.sleep(0.001)
        return "done"
    except BaseException as error:
        seen.append(type(error).__name__)
        raise


def block(seconds):
    """Blocked in C, without the GIL: nothing is heard there."""
    _libc.usleep(int(seconds * 1_000_000))
    return "done"


def throw_late():
    """As a timer does whose call has ended meanwhile: to all of our threads."""
    for thread in threading.enumerate():
        if thread.name.startswith("pyport-"):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(OSError))


def deep(depth, function, *args):
    return deep(depth - 1, function, *args) if depth else function(*args)


def collects(skip):
    """Garbage is collected all the time.  Where neither the main thread nor one
    of ours does so, that takes a while once it was done so many times.
    """
    left = [skip]

    def on_collect(phase, info):
        if phase == "start" and not is_main() and not name().startswith("pyport-"):
            left[0] -= 1
            if left[0] == 0:
                time.sleep(0.5)

    gc.callbacks[:] = [on_collect]
    gc.set_threshold(1)


def collects_no_more():
    gc.callbacks.clear()
    gc.set_threshold(700)


def take_seen():
    taken = list(seen)
    seen.clear()
    return taken


def count():
    """How many times this thread has called it."""
    local.n = getattr(local, "n", 0) + 1
    return name(), local.n


async def awaits(seconds, value):
    import asyncio

    await asyncio.sleep(seconds)
    return value, name()


def returns_coroutine(value):
    return awaits(0.01, value)


def says(text, seconds):
    print(text)
    time.sleep(seconds)
    print(text)
    return text


def forks():
    pid = os.fork()
    return pid if pid else "child"


def mine():
    return erlang.self()


def receives():
    return erlang.receive(timeout=10)


def asks(name_, *args):
    return name() == erlang.call(name_, *args)


class Box:
    def __init__(self):
        self.value = 0

    def add(self, n):
        time.sleep(0.01)
        self.value += n
        return name()


def traces(seconds):
    time.sleep(seconds)
    return erlang.traceparent()


def meets(times):
    """Items that come only if as many streams wait at once as the barrier has
    parties."""
    for n in range(times):
        barrier.wait(10)
        yield n


def items(n, seconds=0):
    """Says how it ends."""
    global made
    try:
        for i in range(n):
            if seconds:
                time.sleep(seconds)
            made += 1
            yield i
    except BaseException as error:
        seen.append(type(error).__name__)
        raise


def names(n):
    for _ in range(n):
        yield name()


def loops():
    """Runs Python code behind its first item."""
    yield 0
    loop(60)
    yield 1


def blocks(seconds):
    """The same, blocked in C."""
    yield 0
    block(seconds)
    yield 1


def asks_between(name_, n):
    for i in range(n):
        yield erlang.call(name_, i), erlang.self()


def fails():
    yield 0
    raise SystemExit(4)


def forks_between():
    yield os.getpid()
    pid = os.fork()
    yield os.waitpid(pid, 0)[1] if pid else "child"
    yield os.getpid()


def traced(n):
    for _ in range(n):
        yield erlang.traceparent()


async def awaited_items(n):
    import asyncio

    for i in range(n):
        await asyncio.sleep(0)
        yield i
