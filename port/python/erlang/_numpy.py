# SPDX-License-Identifier: Apache-2.0
"""Tells the program when numpy is imported, without importing it."""

from __future__ import annotations

from erlang import _imports

# numpy's module in C: since 2.0, and before.
MODULES = ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath")


def watch(callback: _imports.Callback) -> None:
    """Call back with numpy's module in C, once there is one."""
    for name in MODULES:
        _imports.watch(name, callback)
