# SPDX-License-Identifier: Apache-2.0
"""What examples/stdlib_survey.escript asks of Python: one source file after another."""

from __future__ import annotations

import ast
import ctypes
import linecache
import os
import pathlib
import sysconfig
import time
import tracemalloc
import typing

# Trees that `keep` was told to keep: a memory leak to be looked for.
kept: list[ast.AST] = []


def files() -> dict[str, list[str]]:
    """The standard library's source files and those of the packages beside it, the largest first."""
    library = pathlib.Path(sysconfig.get_path("stdlib"))
    packages = {pathlib.Path(sysconfig.get_path("purelib")), library.parent / "python3" / "dist-packages"}
    return {
        "library": by_size(path for path in library.rglob("*.py") if not is_package(path)),
        "packages": by_size(path for folder in packages for path in folder.rglob("*.py")),
    }


def is_package(path: pathlib.Path) -> bool:
    """Whether a file was installed later, in a folder inside the standard library's."""
    return "site-packages" in path.parts or "dist-packages" in path.parts


def by_size(paths: typing.Iterable[pathlib.Path]) -> list[str]:
    """The files among the paths, the largest first, so that no worker is left with a large one at the end."""
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
    return {
        "file": path,
        "lines": source.count(b"\n"),
        "functions": count(nodes, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda),
        "classes": count(nodes, ast.ClassDef),
        "ms": (time.perf_counter() - started) * 1000,
    }


def count(nodes: list[ast.AST], *kinds: type[ast.AST]) -> int:
    """How many of the nodes are of these kinds."""
    return sum(isinstance(node, kinds) for node in nodes)


def keep(path: str) -> None:
    """Parses a file and forgets to let go of the result."""
    kept.append(ast.parse(pathlib.Path(path).read_bytes()))


def forget() -> int:
    """Lets go of what was kept."""
    number = len(kept)
    kept.clear()
    return number


def growth(most: int) -> list[dict[str, typing.Any]]:
    """The lines of source that hold the most memory, they or what they called, since tracing started."""
    top = tracemalloc.take_snapshot().statistics("lineno", cumulative=True)[:most]
    return [
        {
            "place": f"{os.path.basename(stat.traceback[0].filename)}:{stat.traceback[0].lineno}",
            "source": linecache.getline(stat.traceback[0].filename, stat.traceback[0].lineno).strip(),
            "kb": stat.size // 1024,
            "count": stat.count,
        }
        for stat in top
    ]


def crash(path: str) -> None:
    """Begins like `survey`, then reads address 0: the whole process is gone."""
    ast.parse(pathlib.Path(path).read_bytes())
    ctypes.string_at(0)
