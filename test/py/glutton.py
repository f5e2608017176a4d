# SPDX-License-Identifier: Apache-2.0
"""Functions that take memory and do not give it back, for tests of recycling."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator

kept: list[object] = []


def leak(size: int) -> int:
    """Keeps so many bytes, all of them in use; returns the process's id."""
    kept.append(bytearray(os.urandom(16)) * (size // 16))
    return os.getpid()


def leak_slowly(size: int, seconds: float) -> int:
    """The same, and takes its time."""
    pid = leak(size)
    time.sleep(seconds)
    return pid


def drop() -> None:
    """Lets go of it all."""
    kept.clear()


def cycle(size: int) -> int:
    """Memory that only a collection gives back."""
    block: list[object] = [bytearray(os.urandom(16)) * (size // 16)]
    block.append(block)
    return os.getpid()


met = False


def too_much() -> None:
    """Does not get what it asks for."""
    global met
    met = True
    raise MemoryError("no more")


async def too_much_later() -> None:
    """The same on the loop."""
    await asyncio.sleep(0.01)
    too_much()


async def too_much_soon() -> None:
    """In the next round of the loop."""
    await asyncio.sleep(0)
    too_much()


async def too_much_items() -> AsyncIterator[int]:
    """After an item."""
    yield 1
    too_much()


def has_met() -> bool:
    """Whether that has happened in this process."""
    return met


def too_much_then() -> None:
    """Meets MemoryError and deals with it."""
    try:
        too_much()
    except MemoryError:
        pass


def leave_oom() -> None:
    """Ends as the kernel would end it for its memory."""
    os.kill(os.getpid(), 9)
