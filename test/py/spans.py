# SPDX-License-Identifier: Apache-2.0
"""Has spans of every kind."""

import asyncio
import contextvars
import threading
import time

import erlang


def nested(ms=0):
    with erlang.span("outer", n=1) as outer:
        with erlang.span("inner", text="ü", items=[1, {"a": None}], other=object) as inner:
            time.sleep(ms / 1000)
            inner.set(n=2)
        with erlang.span("second"):
            pass
        return [outer.span_id, erlang.traceparent()]


def fails():
    with erlang.span("kept"):
        try:
            with erlang.span("failed"):
                raise ValueError("nö")
        except ValueError:
            pass
    with erlang.span("left"):
        raise LookupError("out")


@erlang.span("decorated", by="decorator")
def decorated(n):
    """Its own text."""
    return decorated(n - 1) + 1 if n else 0


@erlang.span("generated")
def generated(n):
    for i in range(n):
        with erlang.span(f"item {i}"):
            yield i
    return n


@erlang.span("awaited")
async def awaited(n):
    await asyncio.sleep(0)
    with erlang.span(f"within {n}"):
        await asyncio.sleep(0.001 * (3 - n))
    return erlang.traceparent()


async def _gathered():
    with erlang.span("all"):
        return await asyncio.gather(*(awaited(n) for n in range(3)))


def gathered():
    return asyncio.run(_gathered())


def items(name, n):
    with erlang.span(name):
        for i in range(n):
            with erlang.span(f"{name} {i}"):
                pass
            yield erlang.traceparent()


def in_a_thread():
    """A thread has no span of the one that has started it."""
    seen = []
    with erlang.span("main"):
        thread = threading.Thread(target=lambda: seen.append(erlang.traceparent()))
        thread.start()
        thread.join()
    return seen


def calls_back():
    with erlang.span("caller"):
        return erlang.call("back")


def many(n):
    for i in range(n):
        with erlang.span("many", i=i, text="x" * 1000):
            pass


def cut():
    with erlang.span("n" * 1000, text="x" * 100000, deep=[[[[[[1]]]]]]):
        raise RuntimeError("m" * 10000)


def misused():
    seen = []
    for wrong in (
        lambda: erlang.span(1),
        lambda: span.__enter__(),
        lambda: erlang.span("a").__exit__(None, None, None),
        lambda: erlang.span("a")(_asynchronous),
    ):
        with erlang.span("span") as span:
            try:
                wrong()
            except Exception as exc:
                seen.append(type(exc).__name__)
    return seen


async def _asynchronous():
    yield 1


def begins():
    erlang.span("begins").__enter__()
    time.sleep(60)


def sleeps():
    with erlang.span("sleeps"):
        time.sleep(60)


def leaves():
    return erlang.span("left open").__enter__().span_id


def calls_back_within():
    with erlang.span("within"):
        here = erlang.traceparent()
        erlang.call("back")
        return erlang.traceparent() == here


def overlap(n):
    """Each begins within the one before, and ends after that; how many are kept."""
    last = erlang.span("overlapping").__enter__()
    for _ in range(n):
        span = erlang.span("overlapping").__enter__()
        last.__exit__(None, None, None)
        last = span
    depth = 0
    while span:
        span, depth = span._parent, depth + 1
    last.__exit__(None, None, None)
    return depth


def crossed():
    """The span in which a generator began is over before that of the generator."""
    made = generated(2)
    with erlang.span("outer"):
        next(made)
        inside = erlang.traceparent() is not None
    made.close()
    return [inside, erlang.traceparent()]


def closes(made):
    with erlang.span("closes"):
        here = erlang.traceparent()
        made.close()
        return erlang.traceparent() == here


_variable = contextvars.ContextVar("variable", default=0)


def sets_variable():
    token = _variable.set(1)
    yield _variable.get()
    yield _variable.get()
    _variable.reset(token)


def says_self():
    with erlang.span("self") as span:
        span.set(self=1)
    return span.attributes


async def here():
    await asyncio.sleep(0)
    return erlang.traceparent()


async def asynchronous(n):
    with erlang.span("whole"):
        for i in range(n):
            with erlang.span(f"item {i}"):
                await asyncio.sleep(0)
            yield erlang.traceparent()
