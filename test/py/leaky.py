# SPDX-License-Identifier: Apache-2.0
"""Three functions, of which one keeps what it makes; and other ways to keep."""

import gc

_seen = []
errors = []
cache = {}


def parse(text):
    return [word.upper() for word in text.split()]


def remember(text):
    _seen.append(parse(text) + [bytes(1000)])


def answer(text):
    return " ".join(parse(text))


def handle(text):
    """What one request does."""
    remember(text)
    return answer(text)


class Order:
    """Something that is to be found again."""

    def __init__(self):
        self.other = None


class Session(Order):
    """Another, which has a finalizer."""

    def __del__(self):
        pass


class Slotted:
    """Keeps one thing, and has no dict."""

    __slots__ = ("kept",)


def in_cycle(n):
    """Cycles that nothing else refers to, and the collector does not run."""
    gc.disable()
    for _ in range(n):
        first, second = Session(), Session()
        first.other, second.other = second, first


def in_cache(n):
    for i in range(n):
        cache[f"order {i}"] = Order()


def failing(order):
    raise ValueError("this order is wrong")


def kept_by_exception():
    """An exception that is kept keeps its frames, and these their variables."""
    order = Order()
    try:
        failing(order)
    except ValueError as error:
        errors.append(error)
