# SPDX-License-Identifier: Apache-2.0
"""Takes messages, in all the ways that test/talk looks at."""

import threading

import erlang


def take(timeout=None):
    """The message, or the name of the error."""
    try:
        return erlang.receive(timeout)
    except (TimeoutError, erlang.SendError) as error:
        return [type(error).__name__, str(error)]


def take_all(n):
    return [erlang.receive(10) for _ in range(n)]


def survives(timeout):
    """Takes a message after it has been told to stop taking one."""
    try:
        erlang.receive(timeout)
    except erlang.Cancelled:
        pass


def in_thread(timeout):
    taken = []
    thread = threading.Thread(target=lambda: taken.append(take(timeout)))
    thread.start()
    thread.join()
    return taken[0]


def in_threads(n):
    """As many threads as there are messages take one each."""
    taken = []
    threads = [
        threading.Thread(target=lambda: taken.append(erlang.receive(10)))
        for _ in range(n)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(taken)


def items(n):
    for _ in range(n):
        yield erlang.receive(10)
