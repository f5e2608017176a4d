# SPDX-License-Identifier: Apache-2.0
"""Says things in every way there is, for the tests of logs."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import subprocess
import sys
import threading
import time
import warnings

log = logging.getLogger("chatty.talk")


def say(*lines: str) -> None:
    """Prints lines."""
    for line in lines:
        print(line)


def complain(*lines: str) -> None:
    """Prints lines to standard error."""
    for line in lines:
        print(line, file=sys.stderr)


def in_pieces() -> None:
    """A line that comes bit by bit, two at once, and one that is flushed."""
    for piece in ("a", "b", "c\n"):
        sys.stdout.write(piece)
    sys.stdout.write("first\nsecond\n")
    sys.stdout.write("not ended")
    sys.stdout.flush()


def log_all() -> list[int]:
    """A record of each level; the lines that they come from."""
    before = log.level
    log.setLevel(logging.DEBUG)
    log.debug("a %s", "debug")
    log.info("an %s", "info")
    log.warning("a %s", "warning")
    log.error("an %s", "error")
    log.critical("a %s", "critical")
    log.log(35, "between")
    log.setLevel(before)
    first = log_all.__code__.co_firstlineno
    return list(range(first + 4, first + 10))


def log_quietly() -> None:
    """Records that Python's own settings do not let through."""
    log.debug("not to be seen")
    log.info("nor this")


def log_exception() -> None:
    """A record with a traceback."""
    try:
        {}["missing"]
    except KeyError:
        log.exception("something was missing")


def warn() -> int:
    """A warning; the line that it comes from."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("mind the gap", DeprecationWarning, stacklevel=1)
    return warn.__code__.co_firstlineno + 4


class _Broken:
    def __del__(self) -> None:
        raise ValueError("in __del__")


def unraisable() -> None:
    """An exception where nobody can take it."""
    broken = _Broken()
    del broken
    gc.collect()


def thread_fails(name: str) -> None:
    """A thread that ends with an exception."""

    def fail() -> None:
        raise LookupError("in a thread")

    thread = threading.Thread(target=fail, name=name)
    thread.start()
    thread.join()


def later(text: str, seconds: float) -> None:
    """A line that is printed when the call is over."""
    threading.Timer(seconds, print, [text]).start()


def below() -> None:
    """Writes to descriptors, past Python."""
    os.write(1, b"by os.write\n")
    libc = ctypes.CDLL(None)
    libc.printf(b"by printf\n")
    libc.fflush(None)
    subprocess.run(["echo", "by a child"], check=True)


def flood(count: int) -> int:
    """Prints as fast as possible."""
    for n in range(count):
        print("line", n)
    return count


def shout(length: int) -> None:
    """A line that is too long for anybody."""
    print("x" * length)


def fork_and_say(text: str) -> None:
    """A child that prints, logs and warns; it has nobody to say it to."""
    child = os.fork()
    if not child:
        print(text)
        log.error(text)
        warnings.warn(text, stacklevel=1)
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)


def say_and_fail(text: str) -> None:
    """Prints, then raises."""
    print(text)
    raise ValueError("after all")


def say_slowly(text: str, seconds: float) -> None:
    """Prints, then takes its time."""
    print(text)
    time.sleep(seconds)


def say_all(text: str) -> str:
    """Prints and logs to all that a call can capture."""
    print(text, "out")
    print(text, "err", file=sys.stderr)
    return text
