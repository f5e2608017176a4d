# SPDX-License-Identifier: Apache-2.0
"""The user's decoders of tagged tuples: what erlang.decoder does.

The C decoder knows the tags, and calls `decode` for a tuple that has one.
"""

from __future__ import annotations

from . import BadArg
from ._names import full_name, said
from ._tags import TAGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from . import Atom

# Atoms that arrive as True, False and None.
_CONSTANTS = frozenset({"true", "false", "none", "nil", "undefined"})

_registered: dict[str, Callable[..., Any]] = {}

try:
    import _erlang
except ImportError:  # an ordinary Python
    pass
else:
    _erlang.decoders(_registered)


def register(tag: Atom, function: Callable[..., Any]) -> Callable[..., Any]:
    """What erlang.decoder does."""
    if tag in _CONSTANTS:
        raise ValueError(f"{tag} does not arrive as an Atom")
    if tag in TAGS:
        raise ValueError(f"what {{{tag}, ...}} stands for cannot be changed")
    if not callable(function):
        raise TypeError(f"no function: {full_name(type(function))}")
    _registered[tag] = function
    return function


def decode(parts: tuple[Any, ...]) -> Any:
    """What the decoder of its tag makes of a tuple."""
    tag = parts[0]
    try:
        value = _registered[tag](*parts[1:])
    except (BadArg, MemoryError, RecursionError):
        raise
    except Exception as exc:
        why = f"{full_name(type(exc))}: {said(exc)}"
        raise BadArg(f"the decoder of {tag} raised {why}") from exc
    return parts if value is NotImplemented else value
