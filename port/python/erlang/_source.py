# SPDX-License-Identifier: Apache-2.0
"""The texts that eval and exec run: each has a name, and its lines can be shown.

Tracebacks, stacks and inspect.getsource ask linecache for a line.  What it
needs is put there, but it is not imported for that.  A text is kept as long as
there is code of it.
"""

from __future__ import annotations

import io
import os
import sys
from types import CodeType
from weakref import ref

TYPE_CHECKING = False  # importing typing would take memory in every worker
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

# A longer text (in characters) is not kept.
_MOST = 1_000_000

# compile() with this flag gives the tree (ast.PyCF_ONLY_AST).
_ONLY_TREE = 0x400

_by_name: dict[str, _Kept] = {}
_by_text: dict[tuple[str, str], _Kept] = {}
_last_number = 0


class _Kept:
    """A text under its name, while there is code of it."""

    def __init__(self, name: str, key: tuple[str, str], above: int) -> None:
        self.name = name
        self.key = key
        self.above = above  # how many lines there are above it
        self.entry: Any = None  # what linecache has of it
        self.codes: dict[int, Any] = {}  # references to code, by their ids

    def watch(self, code: CodeType) -> None:
        """Keep the text until this code, and all that is in it, is gone."""
        for part in _parts(code):
            reference = ref(part, self._gone)
            self.codes[id(reference)] = reference

    def _gone(self, reference: Any, ends: Any = sys.is_finalizing) -> None:
        self.codes.pop(id(reference), None)
        if not self.codes and not ends():
            self._drop()

    def _drop(self) -> None:
        if _by_name.get(self.name) is self:
            del _by_name[self.name]
        if _by_text.get(self.key) is self:
            del _by_text[self.key]
        cache = _cache()
        if cache is not None and self.entry is not None:
            if cache.get(self.name) is self.entry:
                del cache[self.name]

    def show(self, cache: dict[str, Any]) -> None:
        """Put the lines where linecache looks for them.  No time: never checked."""
        if self.entry is None:
            text = self.key[1]
            # Not splitlines, which ends a line at \f and others, too.
            lines = ["\n"] * self.above + list(io.StringIO(text, None))
            self.entry = (len(text), None, lines, self.name)
        cache[self.name] = self.entry


def _parts(code: CodeType) -> Iterator[CodeType]:
    todo = [code]
    while todo:
        code = todo.pop()
        yield code
        todo += [part for part in code.co_consts if isinstance(part, CodeType)]


def _cache() -> dict[str, Any] | None:
    return getattr(sys.modules.get("linecache"), "cache", None)


def show_all() -> None:
    """Have linecache know every text, if it has been imported by now."""
    cache = _cache()
    if cache is not None:
        for kept in list(_by_name.values()):
            kept.show(cache)


def compiled(text: str, mode: str, filename: str | None, line: int) -> CodeType:
    """The code of a text; mode is "eval" or "exec", as compile() has it.

    Without a filename it gets a name of its own: the same text the same one.
    """
    if mode == "eval":
        text = text.lstrip(" \t")  # as Python's own eval does it
    name = filename or _name(mode, text)
    try:
        code = _compile(text, mode, name, line)
    except SyntaxError as error:
        if not filename and error.filename == name:
            error.filename = f"<{mode}>"  # nobody will ask for it
        if mode == "eval":
            _explain(error, text)
        raise
    if len(text) <= _MOST and not (filename and os.path.exists(filename)):
        kept = _kept(name, (mode, text), line - 1)
        kept.watch(code)
        if not filename:
            _by_text[kept.key] = kept
        cache = _cache()
        if cache is not None:
            kept.show(cache)
    return code


def _name(mode: str, text: str) -> str:
    global _last_number
    known = _by_text.get((mode, text))
    if known:
        return known.name
    _last_number += 1
    return f"<{mode} {_last_number}>"


def _compile(text: str, mode: str, name: str, line: int) -> CodeType:
    above = "\n" * (line - 1)
    code: CodeType = compile(above + text if above else text, name, mode, 0, True)
    return code


def _kept(name: str, key: tuple[str, str], above: int) -> _Kept:
    kept = _by_name.get(name)
    if kept is None or (kept.key, kept.above) != (key, above):
        kept = _by_name[name] = _Kept(name, key, above)
    return kept


def _explain(error: SyntaxError, text: str) -> None:
    """Say so if what is no expression could be run as statements."""
    try:
        body = compile(text, "<eval>", "exec", _ONLY_TREE, True).body
    except Exception:
        return
    if not body:
        error.msg = "there is no expression"
    elif len(body) == 1:
        error.msg = "eval takes an expression, and this is a statement: use exec"
    else:
        error.msg = "eval takes an expression, and these are statements: use exec"
