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

from _weakref import ref

TYPE_CHECKING = False  # importing these would take memory in every worker
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType
    from typing import Any

# A longer text (in characters) is not kept.
_MOST = 1_000_000

# compile() with this flag gives the tree (ast.PyCF_ONLY_AST), and with that one it
# takes `await` outside of functions (ast.PyCF_ALLOW_TOP_LEVEL_AWAIT).
_ONLY_TREE = 0x400
_AWAIT = 0x2000

_by_name: dict[str, _File] = {}
_by_text: dict[tuple[str, str], _Kept] = {}
_last_number = 0


class _File:
    """The texts of one name: the option filename may give it to several.

    Each has the lines at which it begins and ends.  Where texts overlap, the
    newest is shown.
    """

    __slots__ = ("entry", "name", "shown", "texts")

    def __init__(self, name: str) -> None:
        self.name = name
        self.texts: tuple[_Kept, ...] = ()  # the newest is the last
        self.shown: tuple[_Kept, ...] = ()  # those that entry is made of
        self.entry: Any = None  # what linecache has of it

    def add(self, key: tuple[str, str], above: int) -> _Kept:
        """The text, which is the newest now."""
        same = [kept for kept in self.texts if (kept.key, kept.above) == (key, above)]
        kept = same[0] if same else _Kept(self, key, above)
        self.texts = (*(k for k in self.texts if k is not kept), kept)
        return kept

    def drop(self, kept: _Kept) -> None:
        self.texts = tuple(k for k in self.texts if k is not kept)
        if not self.texts and _by_name.get(self.name) is self:
            del _by_name[self.name]
        cache = _cache()
        if cache is None or self.entry is None:
            return
        if cache.get(self.name) is self.entry:
            del cache[self.name]
            if self.texts:
                self.show(cache)

    def show(self, cache: dict[str, Any]) -> None:
        """Put the lines where linecache looks for them.  No time: never checked."""
        texts = self.texts
        if self.shown is not texts:
            lines = _overlaid(texts)
            self.entry = (sum(map(len, lines)), None, lines, self.name)
            self.shown = texts
        cache[self.name] = self.entry


class _Kept:
    """A text, while there is code of it."""

    __slots__ = ("above", "codes", "file", "key")

    def __init__(self, file: _File, key: tuple[str, str], above: int) -> None:
        self.file = file
        self.key = key
        self.above = above  # how many lines there are above it
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
        if _by_text.get(self.key) is self:
            del _by_text[self.key]
        self.file.drop(self)

    def lines(self) -> list[str]:
        # Not splitlines, which ends a line at \f and others, too.
        return list(io.StringIO(self.key[1], None))


def _overlaid(texts: tuple[_Kept, ...]) -> list[str]:
    """The lines of the whole file, as far as they are known."""
    if len(texts) == 1:
        return ["\n"] * texts[0].above + texts[0].lines()
    lines: list[str] = []
    for kept in texts:
        own = [line if line.endswith("\n") else line + "\n" for line in kept.lines()]
        lines += ["\n"] * (kept.above - len(lines))
        lines[kept.above : kept.above + len(own)] = own
    return lines


def _parts(code: CodeType) -> Iterator[CodeType]:
    todo = [code]
    while todo:
        code = todo.pop()
        yield code
        todo += [part for part in code.co_consts if isinstance(part, type(code))]


def _cache() -> dict[str, Any] | None:
    return getattr(sys.modules.get("linecache"), "cache", None)


def show_all() -> None:
    """Have linecache know every text, if it has been imported by now."""
    cache = _cache()
    if cache is not None:
        for file in list(_by_name.values()):
            file.show(cache)


def compiled(
    text: str, mode: str, filename: str | None, line: int, awaits: int
) -> CodeType:
    """The code of a text; mode is "eval" or "exec", as compile() has it.

    Without a filename it gets a name of its own: the same text the same one.  If
    it awaits something itself, and that is allowed, it makes a coroutine.
    """
    if mode == "eval":
        text = text.lstrip(" \t")  # as Python's own eval does it
    name = filename or _name(mode, text)
    try:
        code = _compile(text, mode, name, line, _AWAIT if awaits else 0)
    except SyntaxError as error:
        if not filename and error.filename == name:
            error.filename = f"<{mode}>"  # nobody will ask for it
        if mode == "eval":
            _explain(error, text)
        raise
    if len(text) <= _MOST and not (filename and os.path.exists(filename)):
        file = _by_name.get(name) or _by_name.setdefault(name, _File(name))
        kept = file.add((mode, text), line - 1)
        kept.watch(code)
        if not filename:
            _by_text[kept.key] = kept
        cache = _cache()
        if cache is not None:
            file.show(cache)
    return code


def _name(mode: str, text: str) -> str:
    global _last_number
    known = _by_text.get((mode, text))
    if known:
        return known.file.name
    _last_number += 1
    return f"<{mode} {_last_number}>"


def _compile(text: str, mode: str, name: str, line: int, flags: int) -> CodeType:
    above = "\n" * (line - 1)
    code: CodeType = compile(above + text if above else text, name, mode, flags, True)
    return code


def _explain(error: SyntaxError, text: str) -> None:
    """Say so if what is no expression could be run as statements."""
    try:
        body = compile(text, "<eval>", "exec", _ONLY_TREE, True).body
    except Exception:
        return
    if not body:
        error.msg = "there is no expression"
    elif len(body) == 1:
        if type(body[0]).__name__ != "Expr":  # an await is no statement, either
            error.msg = "eval takes an expression, and this is a statement: use exec"
    else:
        error.msg = "eval takes an expression, and these are statements: use exec"
