# SPDX-License-Identifier: Apache-2.0
"""The module that the memory guide calls `processor`."""

from __future__ import annotations


def handle(data: list[int]) -> int:
    """Stands for work on a large piece of data."""
    return sum(data)
