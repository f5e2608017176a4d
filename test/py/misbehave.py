# SPDX-License-Identifier: Apache-2.0
"""Small programs that do what no guest should, for the tests of the pool."""

from __future__ import annotations

import ctypes
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import typing


def segfault() -> None:
    """Reads address 0."""
    ctypes.string_at(0)


def kill_self(number: int = signal.SIGKILL) -> None:
    """Sends itself a signal that ends it."""
    os.kill(os.getpid(), number)
    time.sleep(10)


def leave(code: int) -> None:
    """Ends the process without any clean-up."""
    os._exit(code)


def abort() -> None:
    """Ends as a failed assertion in C does."""
    os.abort()


def spin() -> None:
    """A loop that never ends."""
    while True:
        pass


def sleep(seconds: float) -> float:
    """Blocks in a system call, then gives back how long."""
    time.sleep(seconds)
    return seconds


def sleep_then(seconds: float, value: object) -> object:
    """Blocks a while, then gives the value back."""
    time.sleep(seconds)
    return value


def sleep_then_write(seconds: float, path: str) -> None:
    """Blocks a while, then makes a file."""
    time.sleep(seconds)
    pathlib.Path(path).touch()


def deaf() -> None:
    """Does not hear the usual signals."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def stubborn() -> None:
    """Swallows every exception and goes on."""
    while True:
        try:
            time.sleep(0.01)
        except BaseException:
            pass


def noise(text: str) -> None:
    """Writes to standard output in every way there is."""
    print(text)
    sys.stdout.flush()
    os.write(1, text.encode())
    libc = ctypes.CDLL(None)
    libc.printf(b"%s\n", text.encode())
    libc.fflush(None)
    subprocess.run(["echo", text], check=True)


def read_input() -> bytes:
    """Reads standard input, which must be empty for user code."""
    return os.read(0, 100)


def forked() -> int:
    """Forks; the child returns into whoever called it. Gives the child's exit code."""
    child = os.fork()
    if child == 0:
        os._exit(7)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def background(path: str) -> None:
    """Leaves a thread that goes on after the call and says so in a file."""

    def later() -> None:
        time.sleep(0.2)
        pathlib.Path(path).write_text("done", encoding="utf-8")

    threading.Thread(target=later, daemon=True).start()


def countdown(path: str, items: int) -> typing.Iterator[int]:
    """A generator that says in a file how far it came, and that it was closed."""
    log = pathlib.Path(path)
    made = 0
    try:
        for made in range(1, items + 1):
            yield made
    finally:
        log.write_text(f"closed after {made}", encoding="utf-8")


def stalling(path: str, items: int) -> typing.Iterator[int]:
    """A generator that makes some items, then none for a long time."""
    try:
        yield from range(items)
        time.sleep(60)
    finally:
        pathlib.Path(path).write_text("closed", encoding="utf-8")


def failing_generator(items: int) -> typing.Iterator[int]:
    """A generator that raises after some items."""
    yield from range(items)
    raise ValueError("out of items")


def peak_rss_kb() -> int:
    """The most memory that this process ever had, in kB."""
    for line in pathlib.Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise LookupError("VmHWM")
