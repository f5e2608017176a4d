# SPDX-License-Identifier: Apache-2.0
"""A load for whoever looks at allocations, and blocks that are counted."""

import gc
import json
import os
import random
import signal
import threading
import time
import tracemalloc
import weakref

kept = []


def deep(n):
    return deep(n - 1) if n else [bytes(700) for _ in range(20)]


class Node:
    def __init__(self):
        self.me = self
        self.data = [0] * random.randrange(100)

    def __del__(self):
        self.late = str(id(self)) * 10


def fail(n):
    try:
        return fail(n - 1) if n else {}["no"]
    except KeyError as error:
        raise ValueError("x" * 600) from error


def generate(n):
    for i in range(n):
        yield [i] * i


def coded():
    """Code that is gone after it has run, and its memory is not."""
    space = {"random": random}
    name = f"short_{random.randrange(100)}"
    source = f"def {name}(n):\n    return [bytes(n) for _ in range(20)]\n"
    exec(compile(source, f"<{name}>", "exec"), space)
    return space[name](random.randrange(5000))


def grown():
    text, parts, raw = "", [], bytearray()
    for i in range(random.randrange(3000)):
        text += "abc"
        parts.append(i)
        raw += b"some bytes"
    del raw[100:]
    return len(text), parts, raw


def piece(left):
    deep(random.randrange(120))
    nodes = [Node() for _ in range(50)]
    left.append([weakref.ref(n, lambda _: bytes(600)) for n in nodes])
    left.append(json.loads(json.dumps({"a": list(range(300))})))
    left.append(coded())
    left.append(grown())
    left.append(list(generate(50)))
    left.append(bytearray(random.randrange(1 << 20)))
    try:
        fail(random.randrange(40))
    except ValueError as error:
        left.append(error)
    del left[: random.randrange(12)]


def pieces(end, errors):
    left = []
    try:
        while time.monotonic() < end:
            piece(left)
            if random.random() < 0.1:
                gc.collect(random.randrange(3))
    except BaseException as error:
        errors.append(repr(error))


def child():
    """What a forked child frees, its parent has allocated."""
    pid = os.fork()
    if pid == 0:
        try:
            kept.clear()
            piece([])
            gc.collect()
        finally:
            os._exit(0)
    if os.environ.get("PYPORT_SANITIZERS"):
        return bounded(pid)
    return os.waitpid(pid, 0)[1]


def bounded(pid):
    """AddressSanitizer's own locks do not survive a fork: such a child may hang."""
    for _ in range(200):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return status
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return 0


def work(seconds):
    """Threads that come and go, children, tracing: what has failed."""
    end = time.monotonic() + seconds
    errors = []
    while time.monotonic() < end and not errors:
        stop = min(end, time.monotonic() + 0.5)
        threads = [
            threading.Thread(target=pieces, args=(stop, errors)) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        if random.random() < 0.3:
            tracemalloc.start(random.randrange(1, 20))
        errors += [status for status in [child(), child()] if status]
        if random.random() < 0.5:
            tracemalloc.stop()
        for thread in threads:
            thread.join()
    tracemalloc.stop()
    return errors


def keep(n):
    """Blocks of 256 bytes: how many bytes they have."""
    kept.clear()
    gc.collect()
    kept.extend(bytes(223) for _ in range(n))
    return 256 * n


def drop():
    kept.clear()
    gc.collect()
