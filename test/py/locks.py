# SPDX-License-Identifier: Apache-2.0
"""Code that takes the standard library's locks all the time, and code that is
interrupted while it cleans up, for the tests of interrupts."""

from __future__ import annotations

import _imp
import _thread
import concurrent.futures
import contextlib
import io
import logging
import queue
import subprocess
import sys
import threading
import time
from typing import Iterator

import wedge

# -- at work without end -----------------------------------------------------

_LARGE = (
    "colorsys wave textwrap calendar gettext cmd code codeop fileinput filecmp"
    " graphlib html.parser netrc optparse pickletools plistlib poplib pprint"
    " quopri sched shlex tabnanny timeit zipapp imaplib smtplib this"
).split()

_logger = logging.Logger("locks")
_handler = logging.StreamHandler(io.StringIO())
_logger.addHandler(_handler)
_queue: queue.Queue[int] = queue.Queue(4)
_condition = threading.Condition()
_event = threading.Event()
_semaphore = threading.Semaphore()
_child: list[subprocess.Popen[bytes]] = []
_executor = concurrent.futures.ThreadPoolExecutor(1)


def _again(names: list[str]) -> None:
    for name in names:
        sys.modules.pop(name, None)
    with contextlib.redirect_stdout(io.StringIO()):
        for name in names:
            __import__(name)


def import_one() -> None:
    while True:
        _again(["colorsys"])


def import_many() -> None:
    while True:
        _again(_LARGE)


def log() -> None:
    while True:
        _handler.stream.seek(0)
        _logger.warning("a line with %s", "arguments")


def make_loggers() -> None:
    while True:
        logging.getLogger("of_ours").isEnabledFor(logging.DEBUG)
        logging.root.manager.loggerDict.pop("of_ours", None)
        logging.StreamHandler().close()


def put_and_get() -> None:
    while True:
        with contextlib.suppress(queue.Full):
            _queue.put_nowait(1)
        with contextlib.suppress(queue.Empty):
            _queue.get(timeout=0.0001)


def wait_for_condition() -> None:
    while True:
        with _condition:
            _condition.wait(0.0001)
            _condition.notify_all()


def wait_for_event() -> None:
    while True:
        _event.wait(0.0001)
        _event.set()
        _event.clear()
        if _semaphore.acquire(timeout=0.0001):
            _semaphore.release()


def start_threads() -> None:
    while True:
        thread = threading.Thread(target=_event.wait, args=(0.0001,))
        thread.start()
        thread.join()


def use_executor() -> None:
    while True:
        _executor.submit(int).result()


def run_processes() -> None:
    while True:
        with subprocess.Popen(["true"], stdout=subprocess.PIPE) as child:
            _child[:] = [child]
            child.communicate()


# -- what was left -----------------------------------------------------------


def _locks() -> list[tuple[str, object]]:
    return [
        ("logging", logging._lock),
        ("handler", _handler.lock),
        ("queue", _queue.mutex),
        ("condition", _condition),
        ("event", _event._cond),
        ("semaphore", _semaphore._cond),
        ("threads", threading._active_limbo_lock),
        ("executors", concurrent.futures.thread._global_shutdown_lock),
        ("executor", _executor._shutdown_lock),
        *(("child", child._waitpid_lock) for child in _child),
    ]


def _imports() -> Iterator[str]:
    if _imp.lock_held():
        yield "import"
    locks = sys.modules["_frozen_importlib"]._module_locks
    for name, ref in list(locks.items()):
        if getattr(ref(), "owner", None) is not None:
            yield name


def _look(found: list[str], done: _thread.LockType) -> None:
    for name, lock in _locks():
        if lock.acquire(timeout=2):
            lock.release()
        else:
            found.append(name)
    found.extend(_imports())
    done.release()


def taken() -> list[str]:
    """The locks that another thread cannot get."""
    found: list[str] = []
    done = _thread.allocate_lock()
    done.acquire()
    _thread.start_new_thread(_look, (found, done))
    done.acquire()
    return found


def take_import_lock() -> None:
    """What an interrupt at a bad moment leaves, and nothing mends."""
    _imp.acquire_lock()
    time.sleep(600)


def take_handler() -> None:
    _handler.acquire()
    time.sleep(600)


# -- blocked in the standard library ----------------------------------------


def get() -> object:
    return queue.Queue().get()


def wait() -> object:
    return threading.Event().wait()


def join() -> object:
    thread = threading.Thread(target=time.sleep, args=(2,), daemon=True)
    thread.start()
    return thread.join()


def result() -> object:
    return concurrent.futures.Future().result()


def child() -> object:
    return subprocess.run(["sleep", "600"])


def as_logging() -> None:
    """Runs for ever as logging's own code would."""
    exec("while True: int(); str()", {"__name__": "logging.of_ours"})


# -- cleaning up, and not ----------------------------------------------------

_seen: list[str] = []


def seen() -> list[str]:
    """What was noted since the last call."""
    found = list(_seen)
    _seen.clear()
    return found


def _slowly(what: str) -> None:
    """Takes 200 ms of sleep and bytecode."""
    for _ in range(10):
        time.sleep(0.01)
        end = time.monotonic() + 0.01
        while time.monotonic() < end:
            pass
    _seen.append(what)


def clean_up_finally() -> None:
    try:
        time.sleep(600)
    finally:
        _slowly("cleaned up")


def clean_up_except() -> None:
    try:
        time.sleep(600)
    except BaseException:
        _slowly("cleaned up")
        raise


def clean_up_callee() -> None:
    def callee() -> Iterator[None]:
        try:
            raise ValueError
        except ValueError:
            _slowly("cleaned up")
            yield

    try:
        time.sleep(600)
    finally:
        list(callee())


@contextlib.contextmanager
def _managed() -> Iterator[None]:
    try:
        yield
    finally:
        _slowly("cleaned up")


def clean_up_with() -> None:
    with _managed():
        time.sleep(600)


class Slow:
    """Noted when it is collected, which takes a while."""

    def __del__(self) -> None:
        wedge.mark(self.path)
        time.sleep(600)

    def __init__(self, path: str) -> None:
        self.path = path


def swallow_in_del(path: str) -> None:
    """The first exception is swallowed: `__del__` cannot raise."""
    Slow(path)
    _seen.append("went on")
    time.sleep(600)


def swallow_some(times: int) -> None:
    for _ in range(times):
        try:
            time.sleep(600)
        except BaseException:
            _seen.append("swallowed")
    time.sleep(600)


def nested(depth: int) -> Iterator[int]:
    """Generators in generators; the innermost one blocks at its third item."""
    if depth:
        try:
            yield from nested(depth - 1)
        finally:
            _seen.append("closed")
    else:
        try:
            yield from (1, 2)
            time.sleep(600)
        finally:
            _slowly("cleaned up")


class Closing:
    """An iterator that is no generator, and takes a while to close."""

    def __iter__(self) -> Closing:
        return self

    def __next__(self) -> int:
        time.sleep(600)
        return 1

    def close(self) -> None:
        _slowly("cleaned up")


