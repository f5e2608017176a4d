# SPDX-License-Identifier: Apache-2.0
"""Ways to be stuck, and to leave, for the tests of what nothing may wedge.

Each function that gets `path` writes its process id there just before it is
stuck, so that a test knows when that is.
"""

from __future__ import annotations

import atexit
import collections
import ctypes
import itertools
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import erlang


def mark(path: str | None) -> None:
    """Says who is here, all at once: nobody reads half a number."""
    if path is not None:
        pathlib.Path(path + ".new").write_text(str(os.getpid()), encoding="ascii")
        os.rename(path + ".new", path)


def loop(path: str | None = None) -> None:
    """Bytecode without end."""
    mark(path)
    while True:
        pass


def sleep(path: str | None = None) -> None:
    """Blocks without the GIL."""
    mark(path)
    time.sleep(600)


def read_socket(path: str | None = None) -> bytes:
    """Blocks in a system call of a socket on which nothing comes."""
    ours, theirs = socket.socketpair()
    mark(path)
    with ours, theirs:
        return ours.recv(1)


def backtrack(path: str | None = None) -> object:
    """A regular expression that has more ways to fail than there is time."""
    mark(path)
    return re.match(r"(a+)+$", "a" * 64 + "!")


def keep_gil(path: str | None = None) -> object:
    """Blocks in C with the GIL; a signal wakes it."""
    mark(path)
    return ctypes.PyDLL(None).sleep(600)


def keep_gil_deaf(path: str | None = None) -> object:
    """Runs C code with the GIL for ever, whatever signals come."""
    mark(path)
    return collections.deque(itertools.repeat(None), maxlen=0)


def swallow(path: str | None = None) -> None:
    """Swallows every exception and goes on."""
    mark(path)
    while True:
        try:
            time.sleep(0.01)
        except BaseException:
            continue


def deaf(path: str | None = None) -> None:
    """The same, and takes no notice of signals that are to end it."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    swallow(path)


def parent(path: str | None = None) -> None:
    """Has a child that sleeps and one that ignores SIGTERM, and waits for them."""
    children = [
        subprocess.Popen(["sleep", "600"]),
        subprocess.Popen(["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]),
    ]
    mark(path)
    for child in children:
        child.wait()


def slow_to_finish() -> None:
    """Python's own end takes longer than anybody waits for."""
    atexit.register(time.sleep, 60)


def write_in_the_end(path: str, text: str) -> None:
    """Python's own end leaves a file."""
    atexit.register(pathlib.Path(path).write_text, text, encoding="ascii")


# -- told apart when they end ------------------------------------------------


def null() -> None:
    """Reads address 0."""
    ctypes.string_at(0)


def overflow() -> object:
    """Overflows the stack of C: this parser calls itself for each bracket."""
    compiled = ctypes.create_string_buffer(4096)
    return ctypes.CDLL(None).regcomp(compiled, b"(" * 4_000_000, 1)


def leave(code: int) -> None:
    """Ends the process at once."""
    os._exit(code)


def leave_politely(code: int) -> None:
    """Ends it as a program should."""
    sys.exit(code)


def eat(megabytes: int) -> int:
    """Takes memory and uses it."""
    held = [b"x" * 1_000_000 for _ in range(megabytes)]
    return len(held)


# -- cancelled ---------------------------------------------------------------


def confess(path: str, seconds: float) -> str:
    """Sleeps; in the end a file says how that ended."""
    how = "finished"
    started = path + ".started"
    pathlib.Path(started).touch()
    try:
        time.sleep(seconds)
    except BaseException as error:
        how = type(error).__name__
        raise
    finally:
        pathlib.Path(path).write_text(how, encoding="ascii")
    return how


def until(path: str) -> str:
    """Runs until the file `path` + ".go" is there; tells that it has started."""
    mark(path + ".started")
    while not os.path.exists(path + ".go"):
        time.sleep(0.005)
    return "finished"


def late(token: object, seconds: float) -> object:
    """Gives the token back after a time of bytecode and of sleep."""
    end = time.monotonic() + seconds
    while time.monotonic() < end - seconds / 2:
        pass
    time.sleep(seconds / 2)
    return token


_order: list[object] = []


async def awaited(token: object, n: int):
    """Some of the items wait.  Most tests here need no asyncio."""
    import asyncio

    for i in range(n):
        if i % 10 == 0:
            await asyncio.sleep(0.001)
        yield token


def note(token: object) -> object:
    """Remembers in which order the tokens came."""
    _order.append(token)
    return token


def noted() -> list[object]:
    """The tokens in their order; forgets them."""
    found = list(_order)
    _order.clear()
    return found


def flood(to: erlang.Pid, count: int, size: int) -> int:
    """Sends a process more than it can take, as fast as possible."""
    for n in range(count):
        erlang.send(to, (n, b"x" * size))
    return count


def counting(to: erlang.Pid, items: int):
    """A generator that tells when it is closed."""
    try:
        yield from range(items)
    finally:
        erlang.send(to, erlang.Atom("closed"))


def tolerate(seconds: float) -> bool:
    """Sleeps on when it is interrupted."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        try:
            time.sleep(left)
        except erlang.Cancelled:
            pass
    return True
