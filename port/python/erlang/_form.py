# SPDX-License-Identifier: Apache-2.0
"""What the rules of the encoder share: how a request wants its values."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # importing typing would take longer than all the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    # How objects of a class are lowered.
    Lower = Callable[[Any, "Form"], Any]


class Form:
    """The options of a request; the program makes one when it needs it."""

    __slots__ = ("binary", "tags", "frames")

    def __init__(self, binary: bool, tags: bool, frames: str) -> None:
        self.binary = binary  # arrays of numbers as {ndarray, ...}
        self.tags = tags  # {datetime, ...} and its like instead of text
        self.frames = frames  # "records", "columns" or "arrays"


class Unsuited(Exception):
    """There is no term for the object; the text may say why."""


def imported(module: str, name: str) -> Any:
    """A class, if somebody has imported its module; else (), no class.

    No module is imported just to look: an object can only be a Decimal if
    somebody has imported decimal.
    """
    return getattr(sys.modules.get(module), name, ())
