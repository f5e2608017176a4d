# SPDX-License-Identifier: Apache-2.0
"""Functions of Erlang's as attributes of the package."""

import _erlang

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

# Each is made once, so that it can be pickled by its name.
_known = {}  # type: Dict[str, Any]


def find(name):
    """The function that is registered in Erlang under this name, or None."""
    if name not in _known and _erlang.lookup(name):
        _known.setdefault(name, _make(name))
    return _known.get(name)


def _make(name):
    def function(*args, **kwargs):
        return _erlang.call(name, args, kwargs)

    function.__name__ = function.__qualname__ = name
    function.__module__ = "erlang"
    function.__doc__ = f"The function '{name}' that is registered in Erlang."
    return function
