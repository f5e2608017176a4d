# SPDX-License-Identifier: Apache-2.0
"""Memory taken in every way, and kept, for the tests of limits."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator


def keep(_: object) -> None:
    """Keeps it, until the process is killed."""
    time.sleep(600)


def long(size: int) -> int:
    """Not kept: the call ends."""
    return len(bytearray(size))


def slowly(size: int) -> int:
    """Some megabytes at a time; then it is given back."""
    kept = []
    for _ in range(size // 4_000_000):
        kept.append(bytearray(4_000_000))
        time.sleep(0.08)
    return len(kept)


def thread(size: int) -> str:
    """The call ends, and then a thread takes it."""

    def later() -> None:
        time.sleep(0.5)
        keep(bytearray(size))

    threading.Thread(target=later, daemon=True).start()
    return "soon"


def one_object(size: int, go: str | None = None) -> None:
    """A single object; once there is this file, if it is named."""
    while go is not None and not os.path.exists(go):
        time.sleep(0.01)
    keep(bytearray(size))


def small_objects(number: int) -> None:
    """Python's own allocator."""
    keep([float(n) for n in range(number)])


def array(size: int) -> None:
    """Numpy's allocator."""
    import numpy

    keep(numpy.ones(size, dtype=numpy.uint8))


def c_malloc(size: int, lib: ctypes.CDLL | None = None) -> ctypes.CDLL:
    """Memory that Python does not know of."""
    lib = lib or ctypes.CDLL(None)
    lib.malloc.restype = ctypes.c_void_p
    ctypes.memset(lib.malloc(ctypes.c_size_t(size)), 1, size)
    return lib


def kept_malloc(size: int) -> None:
    """The same, kept."""
    keep(c_malloc(size))


def with_gil(size: int) -> None:
    """The same in C that does not let go of the GIL."""
    c_malloc(size, ctypes.PyDLL(None)).sleep(600)


def stopped(size: int) -> None:
    """The same, and then the process stops itself."""
    kept = c_malloc(size)
    os.kill(os.getpid(), signal.SIGSTOP)
    keep(kept)


def items(size: int) -> Iterator[int]:
    """A stream whose third item costs that much."""
    yield 1
    yield 2
    keep(bytearray(size))


def child(size: int) -> None:
    """A process that this one starts has it, under a name that is no text."""
    name = "open('/proc/self/comm', 'wb').write(b'a) \\xff (')"
    code = f"import time; {name}; kept = bytearray({size}); time.sleep(600)"
    keep(subprocess.Popen([sys.executable or "python3", "-c", code]))


def forked(size: int, number: int) -> None:
    """Many processes that share it."""
    kept = bytearray(size)
    for _ in range(number):
        if os.fork() == 0:
            keep(kept)
    keep(kept)
