# SPDX-License-Identifier: Apache-2.0
"""Caches that are filled up to some limit, and so are no leaks."""

from __future__ import annotations

import functools
import gc
import sys

# Renamed in Python 3.13.
_clear_types = getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache


def _is_bounded(cache: functools._lru_cache_wrapper[object]) -> bool:
    return cache.cache_info().maxsize is not None


def clear() -> None:
    """Empties them: those of functools.lru_cache, of re, and that of all types.

    The last one has places for 4096 names of attributes, and keeps those that were
    made while a program ran.
    """
    for value in gc.get_objects():
        if type(value) is functools._lru_cache_wrapper and _is_bounded(value):
            value.cache_clear()
    if "re" in sys.modules:
        sys.modules["re"].purge()
    _clear_types()
