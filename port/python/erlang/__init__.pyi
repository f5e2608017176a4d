# SPDX-License-Identifier: Apache-2.0
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn, TypeVar, overload

from ._span import Span
from ._state import state as state

_T = TypeVar("_T")
_F = TypeVar("_F", bound=Callable[[Any], object])
_D = TypeVar("_D", bound=Callable[..., object])

__all__ = [
    "Atom",
    "BadArg",
    "BitString",
    "Cancelled",
    "Error",
    "Fun",
    "ImproperList",
    "LogHandler",
    "Pid",
    "Port",
    "Reference",
    "SendError",
    "call",
    "decoder",
    "encoder",
    "send",
    "span",
    "state",
    "traceparent",
    "worker",
]

class Cancelled(BaseException): ...
class SendError(RuntimeError): ...
class BadArg(ValueError): ...

class Error(RuntimeError):
    class_: str
    reason: Any
    stacktrace: list[dict[str, Any]]
    def __init__(
        self,
        text: str,
        class_: str = ...,
        reason: object = ...,
        stacktrace: Sequence[dict[str, Any]] = ...,
    ) -> None: ...

class Atom(str):
    def __new__(cls, text: str) -> Atom: ...

class _Immutable:
    def __setattr__(self, name: str, value: object) -> NoReturn: ...
    def __delattr__(self, name: str) -> NoReturn: ...
    def __hash__(self) -> int: ...

class _Opaque(_Immutable):
    def __init__(self, etf: bytes) -> None: ...

class Pid(_Opaque): ...
class Reference(_Opaque): ...
class Port(_Opaque): ...

class Fun(_Opaque):
    def __call__(self, *args: object, **kwargs: object) -> Any: ...

class BitString(_Immutable):
    @property
    def data(self) -> bytes: ...
    @property
    def bits(self) -> int: ...
    def __init__(self, data: bytes, bits: int) -> None: ...

class ImproperList(list[_T]):
    tail: Any
    def __init__(self, items: Iterable[_T], tail: object) -> None: ...

class LogHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None: ...

class _Memory:
    def __init__(self, owner: object) -> None: ...

@overload
def encoder(cls: type) -> Callable[[_F], _F]: ...
@overload
def encoder(cls: type, function: _F) -> _F: ...
@overload
def decoder(tag: str) -> Callable[[_D], _D]: ...
@overload
def decoder(tag: str, function: _D) -> _D: ...
def call(function: str | Fun, /, *args: object, **kwargs: object) -> Any: ...
def send(to: Pid | str, term: object) -> None: ...
def span(name: str, /, **attributes: object) -> Span: ...
def traceparent() -> str | None: ...
def worker() -> int | None: ...
def __getattr__(name: str) -> Callable[..., Any]: ...
