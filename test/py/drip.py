# SPDX-License-Identifier: Apache-2.0
"""Functions that keep something at each call, each in another way."""

import ctypes
import mmap
import random

_given = []
_numbers = set()
_buffers = []

_libc = ctypes.CDLL(None)
_libc.malloc.restype = ctypes.c_void_p


def append():
    """A list that grows, of what was there before."""
    _given.append(None)


def fill(n):
    """A set that is filled more and more slowly, up to n."""
    _numbers.add(random.randrange(n))


def shrink(n):
    """Buffers that are cut: the rest of each is too small for another."""
    buffers = [bytearray(4000) for _ in range(n)]
    for buffer in buffers:
        del buffer[700:]
    _buffers.extend(buffers)


def in_c(n):
    """Memory that C code does not free."""
    ctypes.memset(ctypes.c_void_p(_libc.malloc(n)), 1, n)


def mapped(n):
    """Memory that C code has from the kernel by itself."""
    _buffers.append(mmap.mmap(-1, n))
    _buffers[-1].write(bytes(n))
