# SPDX-License-Identifier: Apache-2.0
"""Functions that keep nothing, though the library has caches, interns texts, and
makes cycles. Each call is given something new, as far as it can."""

import ast
import base64
import bisect
import calendar
import collections
import configparser
import copy
import csv
import dataclasses
import datetime
import decimal
import difflib
import email.message
import fnmatch
import fractions
import functools
import hashlib
import html
import io
import ipaddress
import itertools
import json
import pickle
import random
import re
import shlex
import sqlite3
import statistics
import string
import sys
import textwrap
import threading
import types
import urllib.parse
import uuid
import weakref
import xml.etree.ElementTree
import zlib

_count = itertools.count()


def _text():
    return f"number {next(_count)}"


def json_both_ways():
    return json.loads(json.dumps({_text(): [1, 2.5, None], "k": _text()}))


def patterns():
    """Python keeps the last 512."""
    return bool(re.search(f"a{next(_count)}|b+", "xxbb"))


def globs():
    return fnmatch.fnmatch("x.py", f"*{next(_count)}*")


def urls():
    return urllib.parse.urlsplit(f"http://h/{_text()}?a=b").path


def dates():
    day = datetime.datetime.strptime("2024-02-29", "%Y-%m-%d")
    return (day + datetime.timedelta(days=next(_count) % 1000)).strftime("%A %d %B")


def interned():
    return sys.intern(f"name {next(_count) % 100}")


def numbers():
    return str(decimal.Decimal(next(_count)) / 7) + str(fractions.Fraction(next(_count) + 1, 3))


def digests():
    return hashlib.sha256(_text().encode()).hexdigest()


def squeezed():
    return zlib.decompress(zlib.compress(_text().encode() * 100))


def coded():
    return base64.b64decode(base64.b64encode(_text().encode()))


def rows():
    file = io.StringIO()
    csv.writer(file).writerow([_text(), 1, 2])
    return list(csv.reader([file.getvalue()]))


def trees():
    root = xml.etree.ElementTree.fromstring(f"<a><b c='{_text()}'/></a>")
    return xml.etree.ElementTree.tostring(root)


def literals():
    return ast.literal_eval(f"[{next(_count)}, {{'a': 1}}]")


def compiled():
    return eval(f"{next(_count)} + 1")


def templates():
    return string.Template("hello $name").substitute(name=_text())


def wrapped():
    return textwrap.fill(_text() * 20, 40)


def words():
    return shlex.split(f"a 'b c' {_text()}")


def alike():
    return difflib.get_close_matches(_text(), ["number 1", "number 2", "other"])


def averages():
    values = [random.random() for _ in range(20)]
    return statistics.mean(values) + statistics.stdev(values)


def copies():
    value = {"a": [1, {"b": _text()}]}
    value["self"] = value
    return len(copy.deepcopy(value))


def pickles():
    return pickle.loads(pickle.dumps([_text(), datetime.date.today(), {1, 2}])) is not None


def months():
    return calendar.month(2000 + next(_count) % 50, 1 + next(_count) % 12)


def addresses():
    return str(ipaddress.ip_network(f"10.{next(_count) % 256}.0.0/16"))


def unique():
    return str(uuid.uuid4())


def escaped():
    return html.unescape(html.escape(f"<{_text()}>"))


def rows_in_a_database():
    with sqlite3.connect(":memory:") as base:
        base.execute("create table t (a text)")
        base.execute("insert into t values (?)", (_text(),))
        found = base.execute("select a from t").fetchall()
    base.close()
    return found


@functools.lru_cache(maxsize=128)
def _cached(text):
    return text * 10


def cached():
    return _cached(_text())


def windows():
    recent = collections.deque(maxlen=10)
    recent.extend(range(next(_count) % 100))
    return bisect.bisect(sorted(recent), 50)


def threads():
    thread = threading.Thread(target=_text)
    thread.start()
    thread.join()


class _Node:
    other = last = None

    def __del__(self):
        pass


def cycles():
    first, second = _Node(), _Node()
    first.other, second.other = second, first
    first.last = weakref.ref(second, lambda ref: None)


def classes():
    """A class refers to itself, too."""
    return dataclasses.make_dataclass("Point", ["x", "y"])(1, next(_count)).y


def failures():
    try:
        int(_text())
    except ValueError as error:
        return str(error)


def settings():
    parser = configparser.ConfigParser()
    parser.read_string(f"[a]\nb = {_text()}\n")
    return parser["a"]["b"]


def letters():
    message = email.message.EmailMessage()
    message["Subject"] = _text()
    message.set_content("hello")
    return str(message)


NAMES = sorted(
    name
    for name, value in vars().items()
    if isinstance(value, types.FunctionType) and not name.startswith("_")
)


def names():
    return NAMES
