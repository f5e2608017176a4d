# SPDX-License-Identifier: Apache-2.0
"""Calls of Erlang's functions that call Python again, for test/talk."""

import asyncio
import logging
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial

import erlang

seen = []
level = 0


def down(n):
    """Calls itself by way of Erlang, n times."""
    if n == 0:
        return 0
    value = erlang.call("down", n - 1)
    return value + 1 if isinstance(value, int) else value


def sleep_in(seconds):
    """Sleeps within a call of Erlang's, and says who is told to stop when."""
    try:
        return erlang.call("python", "nested", "asleep", [seconds])
    finally:
        seen.append("outer")


def asleep(seconds):
    try:
        time.sleep(seconds)
        return "slept"
    finally:
        seen.append("inner")


def stubborn():
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            time.sleep(1)
        except BaseException:
            pass


def stop_slowly(options):
    """Goes on until it is told to stop, after what was within it."""
    try:
        erlang.call("run", "__import__('nested').cleans_up(1)", options)
        time.sleep(20)
    except erlang.Cancelled:
        seen.append("outer")


def cleans_up(seconds):
    try:
        time.sleep(20)
    finally:
        time.sleep(seconds)
        seen.append("inner")


def locked(options):
    """What is within it is interrupted while it has a lock of its own."""
    with logging.StreamHandler().lock:
        error = erlang.call("run", "nested.asleep(20)", options)
    return error[1]


def take_seen():
    taken = list(seen)
    seen.clear()
    return taken


def printing():
    print("before")
    erlang.call("python", "builtins", "print", ["within"])
    captured = erlang.call("captured", "builtins", "print", ["kept"])
    print("after")
    return captured


def own_names():
    """What is nested sees the same module, while the outer call runs."""
    global level
    level += 1
    try:
        inner = erlang.call("python", "nested", "get_level", [])
        return level, inner
    finally:
        level -= 1


def get_level():
    return level


def items(n):
    for i in range(n):
        yield erlang.call("python", "operator", "mul", [i, i])


def items_of(n):
    for i in range(n):
        yield erlang.call("item", i)


def branches(depth, seed):
    """How a random tree goes on from here: (way, seed of the branch)."""
    chance = random.Random(seed)
    for _ in range(chance.randint(0, 2) if depth > 0 else 0):
        sub = chance.randint(0, 10**6)
        yield chance.choice(["tree", "given", "other", "thread", "fail"]), sub


def tree(depth, seed):
    """A random tree of calls, some of which fail; its value is known."""
    total = 1
    for way, sub in branches(depth, seed):
        if way == "fail":
            try:
                erlang.call("fail", sub)
            except erlang.Error as error:
                total += error.reason[1] == sub
        elif way == "thread":
            total += in_thread(erlang.call, "tree", depth - 1, sub)
        else:
            total += erlang.call(way, depth - 1, sub)
    return total


def by(function, *args):
    return function(*args)


def in_thread(function, *args):
    """What it returns, or raises, in a thread of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *args).result()


def at_once(n, function, *args):
    with ThreadPoolExecutor(n) as pool:
        return [call.result() for call in [pool.submit(function, *args) for _ in range(n)]]


async def aside(function, *args):
    return await asyncio.get_running_loop().run_in_executor(None, partial(copy_context().run, function, *args))


def asks_aside(name):
    return aside(erlang.call, name)


async def on_the_loop(function, *args):
    return function(*args)


def where():
    return threading.current_thread() is threading.main_thread()


def number():
    return threading.get_ident()


def same_thread():
    return number() == erlang.call("python", "nested", "number", [])


def later(event, function, *args):
    """Does so in a thread that goes on when this is over, until that is set."""
    thread = threading.Thread(target=lambda: seen.append(function(*args)))
    thread.start()
    globals()[event] = thread


def over(event):
    globals()[event].join()
    return take_seen()


def loops(seconds):
    """Sleeps, but not for long at a time: as what a thread is told is heard."""
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            time.sleep(0.001)
        return "slept"
    finally:
        seen.append("inner")


def loop_in(options):
    try:
        return erlang.call("run", "erlang.call('python', 'nested', 'loops', [20])", options)
    except BaseException as error:
        seen.append(type(error).__name__)
        raise
    finally:
        seen.append("outer")


def prints(*args):
    print(*args)
    return True


def expected(depth, seed):
    """The value of the tree, without Erlang."""
    total = 1
    for way, sub in branches(depth, seed):
        total += 1 if way == "fail" else expected(depth - 1, sub)
    return total
