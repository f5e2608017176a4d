# SPDX-License-Identifier: Apache-2.0
"""Handlers of messages, in all the ways that test/talk looks at."""

import asyncio
import threading
import time

import erlang

got = []


def keep(message):
    """What a handler gets; some messages are to do something."""
    if message == "raise":
        raise ValueError("the message is bad")
    if message == "exit":
        raise SystemExit(3)
    if isinstance(message, tuple) and message[0] == "sleep":
        time.sleep(message[1])
    if message == "off":
        erlang.on_message(None)
    if message == "next":
        got.append(erlang.receive(5))
    got.append(message)
    return object()  # which has no form in Erlang


async def keep_later(message):
    got.append(("begin", message))
    await asyncio.sleep(3600 if message == "long" else 0.02)
    if message == "raise":
        raise ValueError("the message is bad")
    got.append(("end", message))


def on(name):
    """Whether the handler itself is given back."""
    handler = name and globals()[name]
    return erlang.on_message(handler) is handler


async def on_in_coroutine():
    erlang.on_message(keep)


def on_in_thread():
    thread = threading.Thread(target=erlang.on_message, args=(keep,))
    thread.start()
    thread.join()


def taken():
    result = list(got)
    got.clear()
    return result


def kept():
    """How many objects stay for Erlang."""
    from erlang._handle import kept

    return len(kept)
