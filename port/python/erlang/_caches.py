# SPDX-License-Identifier: Apache-2.0
"""Caches that are filled up to some limit, and so are no leaks."""

from __future__ import annotations

import functools
import gc
import sys


def _is_bounded(cache: functools._lru_cache_wrapper[object]) -> bool:
    return cache.cache_info().maxsize is not None


def clear() -> None:
    """Empties them: those of functools.lru_cache, and that of re."""
    for value in gc.get_objects():
        if type(value) is functools._lru_cache_wrapper and _is_bounded(value):
            value.cache_clear()
    if "re" in sys.modules:
        sys.modules["re"].purge()
