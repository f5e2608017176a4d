# SPDX-License-Identifier: Apache-2.0
"""What Python code may do with erlang.send, for the tests."""

from __future__ import annotations

import atexit
import os
import pathlib
import random
import threading
from typing import Any

import erlang
import _erlang


def numbers(to: Any, count: int) -> str:
    """Sends 0, 1, 2 …"""
    for n in range(count):
        erlang.send(to, n)
    return "sent"


def pairs(to: Any, count: int, size: int) -> str:
    """Sends {N, Bytes}."""
    data = b"x" * size
    for n in range(count):
        erlang.send(to, (n, data))
    return "sent"


def outcome(to: Any, term: Any = 1) -> str:
    """Why it was refused."""
    try:
        erlang.send(to, term)
    except erlang.SendError as error:
        return str(error)
    return "sent"


def until_refused(to: Any) -> str:
    """Sends for ever."""
    while (text := outcome(to)) == "sent":
        pass
    return text


def in_threads(to: Any, threads: int, count: int) -> str:
    """Each thread sends {Thread, 0}, {Thread, 1} …"""

    def work(thread: int) -> None:
        for n in range(count):
            erlang.send(to, (thread, n))

    all_ = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
    for thread in all_:
        thread.start()
    for thread in all_:
        thread.join()
    return "sent"


def in_background(function: Any, *args: Any) -> None:
    """Goes on when the call is over."""
    threading.Thread(target=globals()[function], args=args, daemon=True).start()


def small_integers(to: Any, count: int, length: int) -> str:
    """Terms that are much larger for Erlang than their bytes are."""
    term = [1000] * length
    for _ in range(count):
        erlang.send(to, term)
    return "sent"


def from_child(to: Any, path: str) -> str:
    """What a forked child learns."""
    pid = os.fork()
    if pid == 0:
        pathlib.Path(path).write_text(outcome(to), encoding="utf-8")
        os._exit(0)
    os.waitpid(pid, 0)
    return pathlib.Path(path).read_text(encoding="utf-8")


class _Forks:
    """Forks while it is encoded."""

    def __init__(self, path: str) -> None:
        self.path = path


@erlang.encoder(_Forks)
def _forks(obj: _Forks) -> str:
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return "parent"
    try:
        return "child"
    finally:
        obj.child = True


def fork_in_encoder(to: Any, path: str) -> str:
    """The child, too, is in the middle of a message."""
    term = _Forks(path)
    text = outcome(to, term)
    if hasattr(term, "child"):
        pathlib.Path(path).write_text(text, encoding="utf-8")
        os._exit(0)
    return text


def at_exit(to: Any, path: str) -> None:
    """What is learned at Python's end."""
    atexit.register(
        lambda: pathlib.Path(path).write_text(outcome(to), encoding="utf-8")
    )


_LEAVES: list[Any] = [
    None, True, -1, 2**70, 1.5, "", "text", "~p", b"\xff", erlang.Atom("log"),
    erlang.Atom("info"), erlang.Atom("all"), erlang.BitString(b"\xe0", 3),
]
_KEYS = [erlang.Atom(key) for key in
         ("level", "text", "source", "file", "line", "logger", "pool")]


def _term(rng: random.Random, depth: int) -> Any:
    kind = rng.randrange(5) if depth else 0
    if kind == 1:
        return [_term(rng, depth - 1) for _ in range(rng.randrange(4))]
    if kind == 2:
        return tuple(_term(rng, depth - 1) for _ in range(rng.randrange(4)))
    if kind == 3:
        return {key: _term(rng, depth - 1) for key in _KEYS if rng.random() < 0.7}
    if kind == 4:
        return erlang.ImproperList([1], _term(rng, depth - 1))
    return rng.choice(_LEAVES)


def random_events(seed: int, count: int) -> None:
    """Events that the package would never send."""
    rng = random.Random(seed)
    for _ in range(count):
        name = rng.choice(["log", "log", "log", "send", "crash", "event", "hello"])
        data = {key: _term(rng, 1) for key in _KEYS} if rng.random() < 0.5 else _term(rng, 3)
        _erlang.event(name, data, True)
