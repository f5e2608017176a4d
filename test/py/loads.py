# SPDX-License-Identifier: Apache-2.0
"""Work that leaves free memory behind: each function drops what it has made, but for a little."""

from __future__ import annotations

import gc
import importlib.util
import json
import threading
import time
import typing
import zlib

# What stays, and lies above or between what was freed.
kept: list[typing.Any] = []


def available() -> list[str]:
    """The loads whose libraries are installed here, by name."""
    return [
        name
        for name, (library, _) in LOADS.items()
        if library is None or importlib.util.find_spec(library) is not None
    ]


def run(name: str) -> float:
    """Runs a load; gives the seconds of processor time that it took."""
    _, load = LOADS[name]
    started = time.process_time()
    load()
    return time.process_time() - started


def blocks() -> None:
    """100,000 pieces of a kilobyte, such as parsers and drivers of databases make."""
    pieces = [bytearray(1000) for _ in range(100_000)]
    kept.append(bytearray(1000))
    del pieces


def text() -> None:
    """A million texts, of which one in fifty is kept for a while."""
    texts = [f"text number {n}" for n in range(1_000_000)]
    kept.append(texts[::50])
    del texts[:]
    kept[-1] = kept[-1][:10]


def documents() -> None:
    """A list of 300,000 objects, from JSON."""
    source = "[" + ",".join(f'{{"a":{n},"b":"text {n}"}}' for n in range(300_000)) + "]"
    kept.append(json.loads(source)[:10])


def cycles() -> None:
    """Objects that hold each other, and a block each: only the collector frees them."""
    for _ in range(50_000):
        node: dict[str, typing.Any] = {"block": bytearray(1000)}
        node["me"] = node
    gc.collect()
    kept.append(bytearray(1000))


def buffers() -> None:
    """Bytes of all sizes up to 16 MB, made and dropped one after another, as in files and images."""
    table = bytes(range(255, -1, -1))
    for size in (1 << 17, 300_000, 1 << 20, 1 << 22, 1 << 24):
        for _ in range((1 << 26) // size):
            bytes(size).translate(table)
    kept.append(bytearray(1000))


def packed() -> None:
    """A megabyte packed and unpacked, 30 times."""
    page = bytes(range(256)) * 4096
    for _ in range(30):
        zlib.decompress(zlib.compress(page, 1))
    kept.append(bytearray(1000))


def threads() -> None:
    """Four threads that parse at the same time."""
    source = "[" + ",".join(f'{{"a":{n},"b":"{n:0600}"}}' for n in range(10_000)) + "]"
    running = [threading.Thread(target=json.loads, args=(source,)) for _ in range(4)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    kept.append(bytearray(1000))


def arrays() -> None:
    """50,000 arrays of 8 kB."""
    import numpy

    many = [numpy.ones(1000) for _ in range(50_000)]
    kept.append(numpy.ones(3))
    del many


def formulas() -> None:
    """A formula over arrays of 1 and of 8 MB, which makes arrays for what lies between."""
    import numpy

    for size, times in ((1 << 17, 100), (1 << 20, 12)):
        x = numpy.arange(size, dtype=float)
        for _ in range(times):
            x = x * 0.5 + x / 3 - 1
    kept.append(numpy.ones(3))


def pages() -> None:
    """3 MB of HTML, parsed."""
    import lxml.html

    body = "".join(f'<div><p>par {n}</p><a href="/x/{n}">link</a></div>' for n in range(50_000))
    links = lxml.html.fromstring(f"<html>{body}</html>").xpath("//a/@href")
    kept.append([str(link) for link in links[:10]])


# What each needs to be installed, and what it does.
LOADS: dict[str, tuple[typing.Optional[str], typing.Callable[[], None]]] = {
    "blocks": (None, blocks),
    "text": (None, text),
    "documents": (None, documents),
    "cycles": (None, cycles),
    "buffers": (None, buffers),
    "packed": (None, packed),
    "threads": (None, threads),
    "arrays": ("numpy", arrays),
    "formulas": ("numpy", formulas),
    "pages": ("lxml", pages),
}
