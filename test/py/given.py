# SPDX-License-Identifier: Apache-2.0
"""Funs that Erlang gives, called in all the ways that test/talk looks at."""

import os
import pickle
import threading

import erlang

kept = []


def call(function, *args, **kwargs):
    """The value, or what is known of the error."""
    try:
        return function(*args, **kwargs)
    except erlang.Error as error:
        return ["Error", str(error), error.class_, error.reason]


def key(*, function):
    return function(20, 1)


def keep(function):
    kept[:] = [function]
    return function()


def call_kept(*args):
    return call(kept[0], *args)


def items(function, n):
    for i in range(n):
        yield function(i)


def in_thread(function, *args):
    values = []
    thread = threading.Thread(
        target=lambda: values.append(call(function, *args))
    )
    thread.start()
    thread.join()
    return values[0]


def pickled(function):
    return pickle.loads(pickle.dumps(function))()


def forged(function, old, new):
    """Calls what is made of the bytes of the fun with others in them."""
    etf = function.__reduce__()[1][0]
    return call(erlang.Fun(etf.replace(old.encode(), new.encode())))


def progress(function, rows):
    """Calls back again and again beside a large argument."""
    for i in range(100):
        function(i)
    return len(rows)


def down(function, n):
    return 0 if n == 0 else 1 + function(n - 1)


def in_child(function, *args):
    """What it comes to in a forked child."""
    end, begin = os.pipe()
    if os.fork() == 0:
        try:
            text = str(function(*args))
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(begin, text.encode())
        os._exit(0)
    os.close(begin)
    with os.fdopen(end) as file:
        return file.read()
