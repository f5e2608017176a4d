# SPDX-License-Identifier: Apache-2.0
"""What an exception does not say: mistakes of those who call from Erlang."""

from __future__ import annotations

import os
import sys

from . import Atom

TYPE_CHECKING = False  # importing typing would take memory in every worker
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, Iterator, List, Optional

# The options of a call, which some take for keyword arguments.
OPTIONS = {
    "arrays",
    "bill",
    "binaries",
    "capture",
    "chunk",
    "context",
    "deliver",
    "filename",
    "frames",
    "line",
    "none",
    "pool",
    "recycle",
    "return",
    "tags",
    "timeout",
    "traceback",
    "traceparent",
}

# What nan, inf and -inf are in Erlang.
_NO_NUMBERS = ("nan", "infinity", "neg_infinity")

# Characters of a text, or items of a list, that are looked at.
_BEGINNING = 30


def explain(
    exc: BaseException,
    args: Optional[List[Any]],
    names: Optional[Dict[str, Any]],
) -> None:
    """Add a hint to the message, if there is one.

    names are the keyword arguments of a call, which has args, or the locals of
    an expression; None: there are none.
    """
    if len(exc.args) == 1 and type(exc.args[0]) is str:
        hint = _hint(exc, exc.args[0], args, names or {})
        if hint and hint not in exc.args[0]:
            exc.args = (f"{exc.args[0]} ({hint})",)
            if isinstance(exc, ImportError):
                exc.msg = exc.args[0]


def explain_in_context(exc: BaseException) -> None:
    """Say why pickle does not find what a context has defined."""
    if exc.args and type(exc.args[0]) is str and "__main__" in exc.args[0]:
        hint = (
            "pickle looks for it in the worker's __main__, where a context's names"
            " are not: put it into a module on python_path"
        )
        exc.args = (f"{exc.args[0]} ({hint})", *exc.args[1:])


def _hint(
    exc: BaseException, text: str, args: Any, names: Dict[str, Any]
) -> Optional[str]:
    if isinstance(exc, ModuleNotFoundError):
        return _module(exc.name or "")
    options = OPTIONS & names.keys() if args is not None else None
    if options and "keyword" in text:
        return (
            f"the options of a call, such as {min(options)}, come after its"
            " keyword arguments"
        )
    given = (*(args or ()), *names.values())
    if _wants_bytes(text) and any(type(value) is str for value in given):
        return "a binary arrives as str: send {bytes, Binary}, or see the option binaries"
    if "Atom" in text and (name := next(_floats(given), None)):
        return f"the atom {name} is no float: send {{float, {name}}}"
    if "list" in text:
        where = next(_texts(args, names), None)
        # Not the text itself: arguments are not for the log.
        return where and f"{where} may be an Erlang string: send text as a binary"
    return None


def _wants_bytes(text: str) -> bool:
    """Whether a str came where bytes were meant."""
    if "bytes" in text and text.endswith(("not 'str'", "not str")):
        return True
    return text.endswith(("encoded before hashing", "argument without an encoding"))


def _floats(given: Iterable[Any]) -> Iterator[str]:
    """The atoms that floats became when they went out."""
    for value in given:
        for item in value[:_BEGINNING] if type(value) is list else (value,):
            if type(item) is Atom and item in _NO_NUMBERS:
                yield str(item)


def _module(name: str) -> Optional[str]:
    """It may be where the worker runs, which Python does not look at."""
    here = os.getcwd()
    module = name.partition(".")[0]
    if not module or here in sys.path or "" in sys.path:
        return None
    for file in (module + ".py", module):
        if os.path.exists(file):
            return (
                f"there is {os.path.join(here, file)}, but its directory is not"
                " in sys.path: see the pool's option python_path"
            )
    return None


def _texts(args: Any, names: Dict[str, Any]) -> Iterator[str]:
    """Where there are lists that may have been strings in Erlang."""
    for i, value in enumerate(args or ()):
        if _is_text(value):
            yield f"args[{i}]"
    for name, value in names.items():
        if _is_text(value):
            yield name


def _is_text(value: Any) -> bool:
    return (
        type(value) is list
        and len(value) > 0
        and all(type(c) is int and 9 <= c < sys.maxunicode for c in value[:_BEGINNING])
        and "".join(map(chr, value[:_BEGINNING])).isprintable()
    )
