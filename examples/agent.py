# SPDX-License-Identifier: Apache-2.0
"""What examples/agent.escript runs: an agent whose tools are in Erlang.

The model is a fake: it reads the question by rules.  A real one would be asked
over the network, and answers in the same form.
"""

from __future__ import annotations

import re
import typing

import erlang


def model(messages: list[dict[str, typing.Any]]) -> dict[str, typing.Any]:
    """The next step: a tool to be called, or the answer."""
    question = messages[0]["content"]
    known = {m["tool"]: m["content"] for m in messages if m["role"] == "tool"}
    city = re.search(r"in (\w+)", question)
    if "weather" not in known:
        return {"tool": "weather", "args": [city.group(1) if city else ""]}
    if "degrees" in known["weather"] and "fahrenheit" not in known:
        return {"tool": "fahrenheit", "args": [known["weather"]["degrees"]]}
    return {"answer": describe(known)}


def describe(known: dict[str, typing.Any]) -> str:
    weather = known["weather"]
    if "error" in weather:
        return f"I cannot say: {weather['error']}"
    return f"{weather['sky']}, {known['fahrenheit']:.0f} degrees Fahrenheit"


def use(tool: str, args: list[typing.Any]) -> typing.Any:
    """Calls the tool; what goes wrong with it is for the model to read."""
    try:
        return erlang.call(tool, *args)
    except erlang.Error as error:
        return {"error": str(error)}


def answer(question: str, most: int = 10) -> str:
    messages: list[dict[str, typing.Any]] = [{"role": "user", "content": question}]
    for step in range(most):
        reply = model(messages)
        if "answer" in reply:
            return reply["answer"]
        erlang.call("progress", step + 1, reply["tool"])
        content = use(reply["tool"], reply["args"])
        messages.append({"role": "tool", "tool": reply["tool"], "content": content})
    return "I have tried for too long."
