# SPDX-License-Identifier: Apache-2.0
"""Ways to have much memory, each of which is for a reason of its own.

A worker's memory is mostly what the function's first word says: `leak` in C
libraries, `freed` and kept by malloc, in `pieces`, a `cache` of Python objects,
or `children`.
"""

import array
import ctypes
import mmap
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import threading
import time

MB = 1_000_000
KEPT = []
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.strdup.restype = ctypes.c_void_p
libc.malloc.argtypes = (ctypes.c_size_t,)
libc.free.argtypes = (ctypes.c_void_p,)
libc.memset.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t)


def _malloc(size):
    block = libc.malloc(size)
    libc.memset(block, 1, size)
    return block


def _in_threads(work, count=4):
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# ---- C libraries ---------------------------------------------------------


def leak_large(mb):
    for _ in range(mb):
        _malloc(MB)


def leak_small(mb):
    for _ in range(mb * 1000):
        _malloc(1000)


def leak_strings(mb):
    text = b"x" * 2000
    for _ in range(mb * 500):
        libc.strdup(text)


def leak_in_threads(mb):
    _in_threads(lambda: leak_large(mb // 4))


def leak_mmap(mb):
    memory = mmap.mmap(-1, mb * MB)
    memory.write(b"x" * (mb * MB))
    KEPT.append(memory)


def leak_sqlite(mb):
    base = sqlite3.connect(":memory:", check_same_thread=False)
    base.execute("create table t (x blob)")
    for _ in range(mb):
        base.execute("insert into t values (zeroblob(?))", (MB,))
    KEPT.append(base)


# ---- freed, but not returned ---------------------------------------------
# The last block lies above the others and stays.


def freed_bytearrays(mb):
    blocks = [bytearray(b"x" * 1000) for _ in range(mb * 1000)]
    KEPT.append(bytearray(b"x" * 1000))
    blocks.clear()


def freed_strings(mb):
    texts = [str(n) * 500 for n in range(1000, 1000 + mb * 500)]
    KEPT.append(str(mb) * 1000)
    texts.clear()


def freed_arrays(mb):
    arrays = [array.array("d", range(1000)) for _ in range(mb * 125)]
    KEPT.append(array.array("d", range(1000)))
    arrays.clear()


def freed_numpy(mb):
    import numpy

    arrays = [numpy.ones(500) for _ in range(mb * 250)]
    KEPT.append(numpy.ones(500))
    arrays.clear()


def freed_nested(mb):
    lists = [{"rows": [None] * 1000} for _ in range(mb * 125)]
    KEPT.append([None] * 1000)
    lists.clear()


def freed_by_c(mb):
    blocks = [_malloc(2000) for _ in range(mb * 500)]
    _malloc(2000)
    for block in blocks:
        libc.free(block)


# ---- free, but in pieces -------------------------------------------------


def pieces_bytearrays(mb):
    blocks = [bytearray(b"x" * 1000) for _ in range(mb * 2000)]
    KEPT.append(blocks[::2])


def pieces_strings(mb):
    texts = [str(n) * 200 for n in range(1000, 1000 + mb * 1500)]
    KEPT.append(texts[::3])


def pieces_tuples(mb):
    tuples = [(n, n) for n in range(mb * 12_000)]
    KEPT.append(tuples[::500])


def pieces_nested(mb):
    nested = [{"key": [str(n)]} for n in range(mb * 3000)]
    KEPT.append(nested[::100])


def pieces_by_c(mb):
    blocks = [_malloc(900) for _ in range(mb * 2000)]
    for block in blocks[::2]:
        libc.free(block)


def pieces_after_trim(mb):
    blocks = [bytearray(b"x" * 1000) for _ in range(mb * 2000)]
    KEPT.append(blocks[::8])
    blocks.clear()
    libc.malloc_trim(0)


# ---- Python objects ------------------------------------------------------


def cache_nested(mb):
    KEPT.append({n: {"key": [str(n)] * 5} for n in range(mb * 2000)})


def cache_bytes(mb):
    KEPT.append({str(n): bytes(1000) + b"x" for n in range(mb * 1000)})


def cache_one(mb):
    KEPT.append(bytearray(b"x") * (mb * MB))


def cache_instances(mb):
    class Point:
        def __init__(self, x):
            self.x, self.y = x, str(x)

    KEPT.append([Point(n) for n in range(mb * 4000)])


def cache_numpy(mb):
    import numpy

    KEPT.append([numpy.ones(1000)[::2] for _ in range(mb * 125)])


def cache_in_threads(mb):
    _in_threads(lambda: KEPT.append([str(n) * 100 for n in range(10_000, 10_000 + mb * 500)]))


def cache_shared(mb):
    """Children that have only what they share with the worker."""
    cache_bytes(mb)
    for _ in range(2):
        if os.fork() == 0:
            time.sleep(1000)


# ---- children ------------------------------------------------------------


def _hoard(mb):
    kept = bytearray(b"x") * (mb * MB)
    time.sleep(1000)
    return kept


HOARD = "import time; kept = bytearray(b'x') * {}; time.sleep(1000)"


def children_forked(mb):
    for _ in range(2):
        if os.fork() == 0:
            _hoard(mb // 2)


def children_many(mb):
    for _ in range(6):
        if os.fork() == 0:
            _hoard(mb // 6)


def children_subprocess(mb):
    KEPT.append(subprocess.Popen([sys.executable, "-c", HOARD.format(mb * MB)]))


def children_of_a_shell(mb):
    code = HOARD.format(mb * MB)
    KEPT.append(subprocess.Popen(["sh", "-c", f'{sys.executable} -c "{code}"; true']))


def children_multiprocessing(mb):
    process = multiprocessing.get_context("fork").Process(target=_hoard, args=(mb,), daemon=True)
    process.start()
    KEPT.append(process)


def children_orphaned(mb):
    if os.fork() == 0:
        if os.fork() == 0:
            _hoard(mb)
        os._exit(0)
    os.wait()
