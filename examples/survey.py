# SPDX-License-Identifier: Apache-2.0
"""What examples/stdlib_survey.escript asks of Python: one source file after another."""

from __future__ import annotations

import ast
import ctypes
import pathlib
import sysconfig
import time
import typing

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)

# What `keep` was told to keep: a memory leak to be looked for.
kept: list[tuple[bytes, ast.AST]] = []


def files() -> dict[str, list[str]]:
    """The standard library's source files, and those of the packages beside it."""
    library = pathlib.Path(sysconfig.get_path("stdlib"))
    packages = {
        pathlib.Path(sysconfig.get_path("purelib")),
        library.parent / "python3" / "dist-packages",  # Debian's
    }
    return {
        "library": by_size(path for path in library.rglob("*.py") if not is_package(path)),
        "packages": by_size(path for folder in packages for path in folder.rglob("*.py")),
    }


def is_package(path: pathlib.Path) -> bool:
    """Whether a file was installed later, in a folder inside the standard library's."""
    return "site-packages" in path.parts or "dist-packages" in path.parts


def by_size(paths: typing.Iterable[pathlib.Path]) -> list[str]:
    """The files among the paths, the largest first.

    So no worker is left alone with a large one at the end.
    """
    sizes = {str(path): path.stat().st_size for path in paths if path.is_file()}
    return sorted(sizes, key=lambda name: (-sizes[name], name))


def survey(path: str) -> dict[str, typing.Any]:
    """Parses one file and counts what is in it."""
    started = time.perf_counter()
    source = pathlib.Path(path).read_bytes()
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError) as error:
        return {"file": path, "broken": str(error)}
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    functions = sum(isinstance(node, FUNCTION) for node in nodes)
    methods = sum(isinstance(node, FUNCTION) for owner in classes for node in owner.body)
    return {
        "file": path,
        "lines": source.count(b"\n"),
        "functions": functions - methods,
        "methods": methods,
        "classes": len(classes),
        "ms": (time.perf_counter() - started) * 1000,
    }


def tangle(paths: list[str]) -> int:
    """Parses files and tells each node its parent; gives the number of nodes.

    Nodes that know their parents hold each other: of such trees not one is
    freed until the garbage collector looks at them.
    """
    number = 0
    for path in paths:
        for parent in ast.walk(ast.parse(pathlib.Path(path).read_bytes())):
            for child in ast.iter_child_nodes(parent):
                child.parent = parent  # type: ignore[attr-defined]
                number += 1
    return number


def keep(path: str) -> None:
    """Parses a file and forgets to let go of the result."""
    source = pathlib.Path(path).read_bytes()
    kept.append((source, ast.parse(source)))


def longest(path: str) -> int:
    """Parses a file and says how many lines its longest statement has."""
    nodes = ast.walk(ast.parse(pathlib.Path(path).read_bytes()))
    return max((stmt.end_lineno or 0) - stmt.lineno for stmt in nodes if isinstance(stmt, ast.stmt))


def hoard() -> None:
    """Makes more texts than there is room for."""
    kept_here = [str(number) for number in range(10_000_000)]
    raise AssertionError(f"{len(kept_here)} fitted")


def leak() -> None:
    """Takes memory as a C library does, of which Python knows nothing."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    ctypes.memset(libc.malloc(300_000_000), 1, 300_000_000)
    time.sleep(10)


def crash(path: str) -> None:
    """Begins like `survey`, then reads address 0: the whole process is gone."""
    ast.parse(pathlib.Path(path).read_bytes())
    ctypes.string_at(0)
