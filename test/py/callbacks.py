# SPDX-License-Identifier: Apache-2.0
"""Calls of Erlang's functions, in all the ways that test/talk looks at."""

import os
import signal
import threading
import time

import erlang


def call(name, *args, **kwargs):
    """The value, or what is known of the error."""
    try:
        return erlang.call(name, *args, **kwargs)
    except erlang.Error as error:
        return ["Error", str(error), error.class_, error.reason]


def stacktrace(name):
    try:
        erlang.call(name)
    except erlang.Error as error:
        return error.stacktrace


def pickled(name):
    import pickle

    function = getattr(erlang, name)
    same = pickle.loads(pickle.dumps(function)) is function
    try:
        erlang.call("fail")
    except erlang.Error as error:
        again = pickle.loads(pickle.dumps(error))
        return same and again.class_ == "error" and again.reason == error.reason


def imported(name):
    namespace = {}
    exec(f"from erlang import {name}", namespace)
    return namespace[name](1, 2)


def public_names():
    return [name for name in dir(erlang) if not name.startswith("_")]


def survives(name, *args):
    """Goes on waiting whatever is raised meanwhile, and says what was."""
    try:
        return erlang.call(name, *args)
    except erlang.Cancelled:
        return "cancelled"


def in_threads(n, name, *args):
    values = [None] * n

    def work(i):
        values[i] = call(name, i, *args)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return values


def in_background(name, *args):
    threading.Thread(target=call, args=(name, *args), daemon=True).start()
    return "started"


def meanwhile(name):
    """How often another thread runs while this one waits."""
    count, stop = 0, threading.Event()

    def work():
        nonlocal count
        while not stop.is_set():
            count += 1
            time.sleep(0.001)

    thread = threading.Thread(target=work)
    thread.start()
    erlang.call(name)
    stop.set()
    thread.join()
    return count


def items(name, n):
    for i in range(n):
        yield erlang.call(name, i)


def in_child(name):
    """What a forked child gets instead of an answer."""
    end, begin = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            erlang.call(name)
            text = "answered"
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(begin, text.encode())
        os.kill(os.getpid(), signal.SIGKILL)
    os.close(begin)
    with os.fdopen(end) as file:
        text = file.read()
    os.waitpid(pid, 0)
    return text + (" found" if hasattr(erlang, "no_such_function") else "")
