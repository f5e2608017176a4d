# SPDX-License-Identifier: Apache-2.0
"""Runs programs whose parts are Erlang's and Python's by turns, for test/talk.

A program is (number, steps, end), and each of its steps is (is_caught, way, place,
program), the program of the other side.  Its value is its number and the values of
its steps; one that has raised has the number of the program that did, negated.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import erlang


class Planned(Exception):
    """What a program raises that is to raise something."""


def run(program, given=None):
    return list(items(program, given))


def items(program, given=None):
    """The same, bit by bit."""
    number, steps, end = program
    erlang.send("nesting", number)
    yield number
    for is_caught, way, _, inner in steps:
        try:
            value = ask(way, inner, given)
        except erlang.Error as error:
            value = failed(error, is_caught)
        yield value
    if end == "raises":
        raise Planned(number)


async def run_async(program):
    return [item async for item in items_async(program)]


async def items_async(program):
    number, steps, end = program
    erlang.send("nesting", number)
    yield number
    for is_caught, way, _, inner in steps:
        try:
            value = await ask_async(way, "nesting", inner)
        except erlang.Error as error:
            value = failed(error, is_caught)
        yield value
    if end == "raises":
        raise Planned(number)


def ask(way, program, given=None):
    if way == "given" and given is not None:
        return given(program)
    return call(way, "nesting", program)


def call(way, *args):
    """A call of Erlang's function from the main thread, another one, or a loop."""
    if way == "thread":
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(erlang.call, *args).result()
    if way == "loop":
        return asyncio.run(erlang.call_async(*args))
    return erlang.call(*args)


async def ask_async(way, *args):
    if way == "thread":
        return await asyncio.to_thread(erlang.call, *args)
    return await erlang.call_async(*args)


def failed(error, is_caught):
    """The value of a step that has failed as it was planned."""
    if error.class_ != "throw" or error.reason[0] != "planned":
        raise error
    if not is_caught:
        raise Planned(error.reason[1])
    return -error.reason[1]


def hop(token, path, function="hop"):
    """Goes on along the path, by way of Erlang; the value is how it was gone."""
    (_, _, way), *rest = path
    return [*call(way, function, token, rest), len(path)]


def hops(token, path):
    """The same, bit by bit."""
    yield from hop(token, path)


async def hop_async(token, path):
    (_, _, way), *rest = path
    return [*await ask_async(way, "hop", token, rest), len(path)]
