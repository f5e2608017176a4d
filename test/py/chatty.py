# SPDX-License-Identifier: Apache-2.0
"""Says things in every way there is, for the tests of logs."""

from __future__ import annotations

import ctypes
import gc
import io
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import warnings
from types import FrameType

import erlang

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


def _is_of_output(frame: FrameType) -> bool:
    return frame.f_code.co_filename.endswith("erlang/_output.py")


def interrupt_print(line: str) -> int:
    """Prints a line and, at each step of that, another, as a signal's handler may.

    How many lines there were.
    """
    count = 1

    def on_step(frame: FrameType, event: str, arg: object) -> object:
        nonlocal count
        if not _is_of_output(frame):
            return None
        count += 1
        sys.stdout.write(line + "\n")
        return on_step

    sys.settrace(on_step)
    sys.stdout.write(line + "\n")
    sys.settrace(None)
    return count


def fork_in_print(line: str) -> list[bool]:
    """Forks at each step of another thread that prints: whether each child ends."""
    steps: queue.SimpleQueue[bool] = queue.SimpleQueue()
    go_on: queue.SimpleQueue[None] = queue.SimpleQueue()

    def on_step(frame: FrameType, event: str, arg: object) -> object:
        if not _is_of_output(frame):
            return None
        steps.put(True)
        go_on.get()
        return on_step

    def talk() -> None:
        sys.settrace(on_step)
        print(line)
        sys.settrace(None)
        steps.put(False)

    threading.Thread(target=talk).start()
    ends = []
    while steps.get():
        ends.append(_child_ends())
        go_on.put(None)
    return ends


def _child_ends() -> bool:
    """Whether a child comes to its end that flushes and logs."""
    child = os.fork()
    if not child:
        sys.stdout.flush()
        erlang.LogHandler().handle(logging.makeLogRecord({"levelno": logging.INFO}))
        os._exit(0)
    for _ in range(200):
        if os.waitpid(child, os.WNOHANG)[0]:
            return True
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def no_text_file() -> list[str]:
    """What sys.stdout lacks of what a text file has."""
    return [
        name
        for name in (*dir(io.TextIOWrapper), "mode")
        if not name.startswith("_") and not hasattr(sys.stdout, name)
    ]


def change_stdout(line: str) -> list[object]:
    """What programs do to their sys.stdout; then prints a line to it."""
    out = sys.stdout
    before = out.errors, out.line_buffering
    out.reconfigure(encoding="utf-8", errors="strict", line_buffering=False)
    changed = out.line_buffering
    out.reconfigure(errors=before[0], line_buffering=before[1])
    out.detach().write(b"to the bytes of stdout\n")
    out.writelines([line, "\n"])
    return [changed, out.line_buffering, out.writable(), out.readable()]


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
