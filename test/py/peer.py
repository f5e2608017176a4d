# SPDX-License-Identifier: Apache-2.0
"""What programs written for the library that came before do, for test/peer."""

import asyncio
import logging
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import erlang

ran = 0
counters = weakref.WeakSet()


def pooled(workers, items, function):
    """What a pool of threads makes of the items."""
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, items))


def calls_of(name, times):
    """A function that calls Erlang's several times, each with what came before."""

    def function(value):
        for _ in range(times):
            value = erlang.call(name, value)
        return value

    return function


def threaded(items, function):
    """The same with a thread for each."""
    values = {}
    threads = [threading.Thread(target=lambda x=x: values.update({x: function(x)})) for x in items]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [values[item] for item in items]


def thread_names(workers, count):
    return len(set(pooled(workers, range(count), lambda _: threading.get_ident())))


def gathered(name, arguments):
    """Calls of one function at once, in a loop of its own."""

    async def main():
        return await asyncio.gather(*(erlang.call_async(name, *args) for args in arguments))

    return asyncio.run(main())


def down(n, depth):
    """Calls itself by way of Erlang."""
    return n if depth <= 0 else erlang.call("step", n, depth)


def chain(x):
    return erlang.call("subtract_five", erlang.call("multiply_by_two", erlang.call("add_ten", x)))


def careful(key):
    try:
        return erlang.call("get_value", key)
    except Exception:
        return "Exception"


def very_careful(key):
    try:
        return erlang.call("get_value", key)
    except BaseException:
        return "BaseException"


def cleans_up(key):
    cleaned = []
    try:
        value = erlang.call("get_value", key)
    finally:
        cleaned.append(key)
    return [value, *cleaned]


def layers(key, depth):
    try:
        return careful(key) if depth == 0 else layers(key, depth - 1)
    except Exception:
        return depth


def runs_once():
    """A call waits where it is: nothing before it is done again."""
    global ran
    ran += 1
    erlang.call("slowly")
    return ran


def send_all(to, messages):
    for message in messages:
        erlang.send(to, message)
    return len(messages)


def send_in_coroutine(to, messages):
    async def main():
        done = []
        for number, message in enumerate(messages):
            erlang.send(to, message)
            await asyncio.sleep(0)
            done.append(number)
        return done

    return asyncio.run(main())


def is_refused(to, error):
    """Whether sending there raises this class of the package's, or Python's."""
    try:
        erlang.send(to, "message")
    except getattr(erlang, error, TypeError):
        return True
    return False


def log_in_thread(text):
    thread = threading.Thread(target=logging.warning, args=[text])
    thread.start()
    thread.join()


async def echo_all(messages):
    """An echo server on this machine, and a client for each message."""

    async def serve(reader, writer):
        writer.write(b"re:" + await reader.read(100))
        await writer.drain()
        writer.close()

    async def ask(port, message):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(message)
        await writer.drain()
        answer = await reader.read(100)
        writer.close()
        return answer

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        return await asyncio.gather(*(ask(port, message) for message in messages))


async def slept(seconds, value):
    await asyncio.sleep(seconds)
    return value


async def together(values):
    return await asyncio.gather(*(slept(0.01, value) for value in values))


async def in_time(seconds, limit):
    try:
        return await asyncio.wait_for(slept(seconds, "slept"), limit)
    except asyncio.TimeoutError:
        return "late"


async def later(value):
    task = asyncio.create_task(slept(0.01, value))
    await asyncio.sleep(0.001)
    return [task.done(), await task]


async def loops():
    return asyncio.get_running_loop() is asyncio.get_event_loop()


def received(channel):
    return channel.receive()


async def received_async(channel):
    return await channel.receive_async()


async def drained_async(channel):
    return [message async for message in channel]


def same(value):
    return value


class Counter:
    def __init__(self):
        self.value = 0
        counters.add(self)

    def add(self, n):
        self.value += n
        return self.value


def pair(a, b):
    return a, b


def is_runtime_error(name):
    try:
        erlang.call(name)
    except RuntimeError:
        return True
    return False


def wait(seconds, value):
    time.sleep(seconds)
    return value


def stubborn(to, seconds):
    """Does not stop when it is told to."""
    until = time.monotonic() + seconds
    erlang.send(to, "started")
    while time.monotonic() < until:
        try:
            time.sleep(1)
        except BaseException:
            pass
