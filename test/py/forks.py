# SPDX-License-Identifier: Apache-2.0
"""Coroutines that fork, and what the child does before it ends."""

import asyncio
import os
import sys


async def loop():
    """Whose the loop is, and whether others can see what is to run next."""
    running = asyncio.get_running_loop()
    return type(running).__module__, hasattr(running, "_ready")


async def _spin(said, steps):
    for _ in range(steps):
        os.write(said, b"+")
        await asyncio.sleep(0)


def _raise_and_catch():
    try:
        raise KeyError
    except KeyError:
        pass


async def fork(code, others):
    """The child's exit code, and what it and the others have said."""
    said, says = os.pipe()
    tasks = [asyncio.ensure_future(_spin(says, 3)) for _ in range(others)]
    await asyncio.sleep(0)
    pid = os.fork()
    if pid == 0:
        _raise_and_catch()
        os.write(says, b"child ")
        if code is not None:
            try:
                sys.exit(code)
            except ZeroDivisionError:
                pass
        await asyncio.sleep(0)
        os.write(says, b"never ")
    status = os.waitpid(pid, 0)[1]
    await asyncio.gather(*tasks)
    os.close(says)
    with os.fdopen(said, "rb") as file:
        text = file.read()
    return os.waitstatus_to_exitcode(status), text.count(b"+"), text.replace(b"+", b"").decode()
