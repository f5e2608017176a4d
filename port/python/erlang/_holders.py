# SPDX-License-Identifier: Apache-2.0
"""Who keeps objects alive: what they are kept by in the end, and how."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterator
from types import (
    BuiltinFunctionType,
    CellType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    TracebackType,
)

from erlang import Atom
from erlang._names import clean, full_name
from erlang._stack import thread_names

TYPE_CHECKING = False  # a foreign typing may be in the way
if TYPE_CHECKING:
    from typing import Any

_OWN = os.path.dirname(__file__) + os.sep
_OPTIMIZED = 1  # CO_OPTIMIZED: a function, whose variables are in no dict

# How many items are looked through for the one that is meant.
_ITEMS = 1_000_000
_SHOWN = 32

# The attributes by which objects in C refer to others.
_NAMES: tuple[tuple[type, tuple[str, ...]], ...] = (
    (BaseException, ("__traceback__", "__cause__", "__context__", "args")),
    (TracebackType, ("tb_frame", "tb_next")),
    (FrameType, ("f_back", "f_globals")),
    (
        FunctionType,
        ("__closure__", "__defaults__", "__kwdefaults__", "__globals__", "__dict__"),
    ),
    (CellType, ("cell_contents",)),
    (MethodType, ("__self__", "__func__")),
    (BuiltinFunctionType, ("__self__",)),
    (GeneratorType, ("gi_frame", "gi_yieldfrom")),
    (CoroutineType, ("cr_frame", "cr_await")),
)

_MODULE, _FRAME, _THREAD = Atom("module"), Atom("frame"), Atom("thread")
_CYCLE, _UNKNOWN = Atom("cycle"), Atom("unknown")

# What kind of root it is, and what it is called.
_Label = tuple[Atom, str]
# A root, a path, its form without indexes and keys, types, how many objects.
_Row = tuple[Atom, str, str, list[str], int]


def classes(name: str) -> list[type]:
    """All classes of that name, which is that of their module and their own."""
    seen: set[type] = set()
    todo: list[type] = [object]
    while todo:
        cls = todo.pop()
        if cls not in seen:
            seen.add(cls)
            todo.extend(type.__subclasses__(cls))
    return [cls for cls in seen if full_name(cls) == name]


# ---- roots


class _Roots:
    """Objects that are kept for sure, and by what."""

    def __init__(self) -> None:
        self.held: list[object] = []
        self.ignored: list[object] = []
        self.labels: list[_Label] = []
        self._known: set[int] = set()

    def add(self, held: object, kind: Atom, text: str) -> None:
        if id(held) not in self._known:
            self._known.add(id(held))
            self.held.append(held)
            self.labels.append((kind, text))

    def add_modules(self) -> None:
        for name, module in list(sys.modules.items()):
            names = _dict_of(module)
            if names is not None:
                self.add(names, _MODULE, str(name))

    def add_exceptions(self, threads: dict[int | None, str]) -> None:
        for ident, exc in vars(sys)["_current_exceptions"]().items():
            if isinstance(exc, tuple):  # until 3.11
                exc = exc[1]
            if exc is not None:
                name = threads.get(ident, str(ident))
                self.add(exc, _THREAD, f"<the exception of {name}>")

    def add_frames(self, threads: dict[int | None, str]) -> None:
        for ident, innermost in sys._current_frames().items():
            frame: FrameType | None = innermost
            while frame:
                if not frame.f_code.co_filename.startswith(_OWN):
                    self.add_frame(frame, threads.get(ident, str(ident)))
                frame = frame.f_back

    def add_frame(self, frame: FrameType, thread: str) -> None:
        code = frame.f_code
        where = f"{code.co_name} ({code.co_filename}:{frame.f_lineno}, {thread})"
        names = frame.f_locals
        if not code.co_flags & _OPTIMIZED:
            self.add(names, _FRAME, f"<{where}>")
            return
        if sys.version_info < (3, 13):
            self.ignored.append(names)  # a copy for us
        for name, value in list(names.items()):
            self.add(value, _FRAME, f"<{where}>.{name}")


def roots() -> tuple[list[object], list[object], list[_Label]]:
    """What modules, running functions and handled exceptions keep.

    Objects, others that keep nothing, and the labels of the first ones.
    """
    threads = thread_names()
    found = _Roots()
    found.add_modules()
    found.add_exceptions(threads)
    found.add_frames(threads)
    return found.held, found.ignored, found.labels


# ---- paths


def described(
    found: list[tuple[int, bool, list[object]]], labels: list[_Label]
) -> list[_Row]:
    """Chains as text; those that differ only in indexes and keys are one."""
    rows: dict[tuple[Atom, str], _Row] = {}
    for root, kept, chain in found:
        if root >= 0:
            kind, start = labels[root]
        else:
            kind = _UNKNOWN if kept else _CYCLE
            start = f"<{full_name(type(chain[0]))}>"
        pieces, form, types = _path(chain, kind == _MODULE)
        key = kind, start + form
        count = rows[key][4] + 1 if key in rows else 1
        row = kind, clean(start + pieces), clean(start + form), types, count
        rows[key] = (*rows[key][:4], count) if key in rows else row
    return list(rows.values())


def _path(chain: list[Any], names: bool) -> tuple[str, str, list[str]]:
    """How one leads to the next; `names`: the first has a module's names."""
    pieces, form = "", ""
    types = ["module" if names else clean(full_name(type(chain[0])))]
    for holder, held in zip(chain, chain[1:]):
        if _is_dict_of(holder, held) and held is not chain[-1]:
            names = True
            continue
        piece, general = _piece(holder, held, names)
        names = False
        pieces += piece
        form += general
        types.append(clean(full_name(type(held))))
    return pieces, form, types


def _is_dict_of(holder: object, held: object) -> bool:
    if type(held) is not dict or issubclass(type(holder), dict):
        return False
    return issubclass(type(holder), type) or _dict_of(holder) is held


def _dict_of(obj: object) -> dict[str, object] | None:
    try:
        names = object.__getattribute__(obj, "__dict__")
    except Exception:
        return None
    return names if type(names) is dict else None


def _piece(holder: Any, held: object, names: bool) -> tuple[str, str]:
    """The text of one step, and the same without index and key."""
    if issubclass(type(holder), dict):
        return _key(holder, held, names)
    if issubclass(type(holder), (list, tuple, deque)):
        return _index(holder, held)
    if issubclass(type(holder), (set, frozenset)):
        return "{\u2026}", "{\u2026}"
    for name, value in _attributes(holder):
        if value is held:
            return name, name
    return ".\u2026", ".\u2026"


def _key(holder: dict[Any, Any], held: object, names: bool) -> tuple[str, str]:
    try:
        for n, (key, value) in enumerate(dict.items(holder)):
            if value is held and names:
                return _name(key), _name(key)
            if value is held:
                return f"[{_short(key)}]", "[\u2026]"
            if key is held:
                return "[a key]", "[a key]"
            if n == _ITEMS:
                break
    except RuntimeError:  # it has changed meanwhile
        pass
    return "[\u2026]", "[\u2026]"


def _index(holder: Any, held: object) -> tuple[str, str]:
    try:
        for n, item in enumerate(_base_of(holder).__iter__(holder)):
            if item is held:
                return f"[{n}]", "[\u2026]"
            if n == _ITEMS:
                break
    except Exception:  # it has changed meanwhile
        pass
    return "[\u2026]", "[\u2026]"


def _base_of(holder: object) -> Any:
    return next(cls for cls in (list, tuple, deque) if issubclass(type(holder), cls))


def _attributes(holder: object) -> Iterator[tuple[str, object]]:
    """An object's attributes as a path has them, without running its code."""
    own = _dict_of(holder)
    yield ".__dict__", own
    for name, value in list((own or {}).items()):
        yield _name(name), value
    for cls, names in _NAMES:
        if issubclass(type(holder), cls):
            for name in names:
                yield _name(name), _get(vars(cls)[name], holder)
    for base in type(holder).__mro__:
        for name, member in list(vars(base).items()):
            is_base = name == "base" and type(member) is GetSetDescriptorType
            if is_base or type(member) is MemberDescriptorType:
                yield _name(name), _get(member, holder)
    yield from _variables(holder)


def _variables(holder: Any) -> Iterator[tuple[str, object]]:
    """Those of a frame, or of a function that waits for its turn."""
    frame, prefix = holder, "."
    if type(holder) is GeneratorType:
        frame, prefix = holder.gi_frame, ".gi_frame."
    elif type(holder) is CoroutineType:
        frame, prefix = holder.cr_frame, ".cr_frame."
    if type(frame) is FrameType:
        for name, value in list(frame.f_locals.items()):
            yield f"{prefix}f_locals[{name!r}]", value


def _get(descriptor: Any, obj: object) -> object:
    try:
        return descriptor.__get__(obj)
    except Exception:
        return None


def _name(name: object) -> str:
    if type(name) is str and name.isidentifier():
        return f".{name}"
    return f"[{_short(name)}]"


def _short(key: object) -> str:
    if type(key) in (str, bytes):
        return repr(key[:_SHOWN])  # type: ignore[index]
    if key is None or type(key) in (int, float, bool):
        return repr(key)[:_SHOWN]
    return f"<{full_name(type(key))}>"
