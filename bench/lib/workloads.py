# SPDX-License-Identifier: Apache-2.0
"""Work for an allocator: the worst there is, and what programs do."""

import json
import time

DOC = {
    "rows": [
        {"id": i, "name": f"n{i}", "value": i * 1.5, "tags": ["x", "y", "z"]}
        for i in range(2000)
    ]
}


class Point:
    def __init__(self, x, y):
        self.x = x
        self.y = y

    def plus(self, other):
        return Point(self.x + other.x, self.y + other.y)


# Nothing but a small block, or a larger one, made and dropped.


def small_blocks():
    for _ in range(300000):
        object()


def large_blocks():
    for _ in range(200000):
        bytes(1000)


# Ordinary work.


def counting():
    i = 0
    while i < 1500000:
        i += 1


def tuples_and_texts():
    pairs = [(i, i + 1) for i in range(100000)]
    return dict(zip((str(i) for i in range(100000)), pairs))


def growing_lists():
    for _ in range(20000):
        numbers = []
        for i in range(100):
            numbers.append(i)


def objects():
    p, q = Point(0.0, 0.0), Point(1.0, 2.0)
    for _ in range(150000):
        p = p.plus(q)


def splitting():
    for i in range(40000):
        "-".join([f"abc{i}"] * 20).upper().split("-")


def documents():
    for _ in range(6):
        json.loads(json.dumps(DOC))


def pages():
    """What a web server does: a request parsed, rows looked up, a page made."""
    for i in range(1500):
        pairs = (pair.split("=") for pair in f"user=u{i}&page={i % 9}&q=a+b".split("&"))
        query = {name: value.replace("+", " ") for name, value in pairs}
        rows = [row for row in DOC["rows"][:60] if row["id"] % 9 == int(query["page"])]
        cells = [f"<tr><td>{row['name']}</td><td>{row['value']:.2f}</td></tr>" for row in rows]
        json.loads(json.dumps({"query": query, "html": "\n".join(cells)}))


WORST = ["small_blocks", "large_blocks"]
ORDINARY = [
    "counting",
    "tuples_and_texts",
    "growing_lists",
    "objects",
    "splitting",
    "documents",
    "pages",
]


def seconds(name):
    """How much of a processor's time a piece of work takes."""
    work = globals()[name]
    start = time.process_time()
    work()
    return time.process_time() - start
