# SPDX-License-Identifier: Apache-2.0
"""Uses the state that workers share."""

import datetime
import decimal
import os
import threading

import erlang


def come_back():
    """Values that are not what they were when they are got again."""
    values = [
        None,
        True,
        1,
        1.0,
        2**70,
        float("inf"),
        1 - 2j,
        "ü",
        "",
        b"ab",
        b"\xff\x00",
        bytearray(b"ab"),
        (1, (2, b"c")),
        [],
        {"a": {1: b"b"}, b"a": 2, (1, b"k"): None},
        erlang.Atom("ok"),
        erlang.BitString(b"\xa0", 3),
        datetime.datetime(2026, 2, 28, 1, 2, 3, 4),
        datetime.timedelta(days=-1, microseconds=5),
        decimal.Decimal("0.10"),
    ]
    wrong = []
    for value in values:
        erlang.state["value"] = value
        got = erlang.state["value"]
        if got != value or (type(got) is not type(value) and type(value) is not bytearray):
            wrong.append((repr(value), repr(got)))
    del erlang.state["value"]
    return wrong


def an_array():
    import numpy

    for array in (numpy.arange(6.0).reshape(2, 3), numpy.zeros((0, 2), "i4")):
        erlang.state["array"] = {"in": array}
        got = erlang.state.pop("array")["in"]
        assert got.dtype == array.dtype and (got == array).all(), got
        assert got.shape == array.shape, got.shape


def a_view():
    erlang.state["view"] = memoryview(b"ab")
    erlang.state["items"] = memoryview(b"abcd").cast("h")
    return erlang.state.pop("view"), isinstance(erlang.state.pop("items"), list)


def like_a_dict():
    """What a dict does, done to the state and to one."""
    shown = []
    for mapping in (erlang.state, {}):
        erlang.state.clear()
        mapping["b"] = 1
        mapping["a"] = [2]
        seen = [
            mapping["a"],
            "a" in mapping,
            "c" in mapping,
            len(mapping),
            sorted(mapping),
            sorted(mapping.items(), key=str),
            sorted(mapping.values(), key=str),
            dict(mapping),
            mapping.get("c"),
            mapping.get("c", 3),
            mapping.get("a"),
            mapping.setdefault("a", 4),
            mapping.setdefault("d"),
            mapping.pop("d", 5),
            mapping.pop("d", 5),
            raised(lambda: mapping["d"]),
            raised(lambda: mapping.pop("d")),
            raised(lambda: mapping.__delitem__("d")),
            mapping.update({"b": 6}, e=7),
            mapping == {"a": [2], "b": 6, "e": 7},
            sorted([mapping.popitem(), mapping.popitem(), mapping.popitem()], key=str),
            raised(mapping.popitem),
            mapping.clear(),
            bool(mapping),
        ]
        shown.append(seen)
    return shown[0] == shown[1] or shown


def raised(function):
    try:
        function()
    except Exception as exc:
        return type(exc).__name__
    return None


def caught(function):
    """The error of Erlang's that the function raises."""
    try:
        return function()
    except erlang.Error as error:
        return [str(error), error.class_, error.reason]


def increment(key, times):
    for _ in range(times):
        erlang.state.increment(key)


def append(key, item, times):
    for n in range(times):
        erlang.state.change(key, lambda items: items + [(item, n)], [])


def changed_meanwhile():
    """What the function is given, when another one comes in between."""
    seen = []

    def function(value):
        seen.append(value)
        if len(seen) == 1:
            erlang.state["n"] = 10
        return value + 1

    erlang.state["n"] = 1
    return erlang.state.change("n", function), seen


def fill(prefix, count):
    for n in range(count):
        erlang.state[f"{prefix}{n:05}"] = n


def in_threads(count):
    threads = [threading.Thread(target=increment, args=("threads", 50)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return erlang.state["threads"]


def in_child():
    """What a forked child gets instead of the state."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            erlang.state["child"] = 1
        except erlang.SendError:
            os.write(writer, b"SendError")
        os._exit(0)
    os.close(writer)
    said = os.read(reader, 100)
    os.wait()
    return said.decode()


def wait(seconds):
    """A change that is not answered, and what comes of it."""
    try:
        erlang.state["waits"] = 1
    finally:
        erlang.send("test", erlang.Atom("gave_up"))
