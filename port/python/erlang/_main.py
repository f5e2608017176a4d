# SPDX-License-Identifier: Apache-2.0
"""What is `__main__` in a process that multiprocessing spawns from a worker.

Such a process gets functions and classes by their names, and those that exec
has defined it cannot know.  To say that it would have to be alive: a name that
is not found ends it, and a pool starts another one, for ever.  So each name is
found, and says what is the matter when it is used.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

# These unpickle what comes.  An error then would end the process, too.
_READERS = (
    "multiprocessing.connection",
    "multiprocessing.queues",
    "multiprocessing.spawn",
)


def _refuse(name: str) -> NoReturn:
    raise RuntimeError(
        f"{name} is a name in __main__ of the worker, which a spawned process"
        " does not know: put it into a module on python_path, or use the start"
        " method fork"
    )


class _Unknown(type):
    """The class of what stands for functions and classes."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if sys._getframe(1).f_globals.get("__name__") in _READERS:
            return object.__new__(cls)  # type: ignore[arg-type]
        _refuse(cls.__name__)

    def _use(cls, *args: Any) -> Any:
        _refuse(cls.__name__)

    __contains__ = __getitem__ = __iter__ = __len__ = __str__ = _use

    def __bool__(cls) -> bool:
        return True

    def __getattr__(cls, name: str) -> Any:
        """A static method, a nested class, or a member of an Enum."""
        return _unknown(name, f"{cls.__name__}.{name}")


class _Instance:
    """What stands for an object of a class that is not known."""

    def __new__(cls, *args: Any) -> Any:
        return super().__new__(cls)

    def _ignore(self, *args: Any) -> None:
        pass

    def _use(self, *args: Any) -> Any:
        _refuse(type(self).__name__)

    # What unpickling does, and what functions do most.
    __setstate__ = __setitem__ = append = extend = add = _ignore
    __call__ = __contains__ = __getitem__ = __iter__ = __len__ = _use
    __float__ = __index__ = __int__ = __str__ = _use

    def __getattr__(self, name: str) -> Any:
        return _unknown(name, f"{type(self).__name__}.{name}")


def _unknown(name: str, shown: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return _Unknown(shown, (_Instance,), {})


def __getattr__(name: str) -> Any:
    return _unknown(name, name)
