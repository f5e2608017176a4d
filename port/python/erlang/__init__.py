# SPDX-License-Identifier: Apache-2.0
"""What Python code sees of Erlang inside a pyport worker.

Most Erlang values arrive as Python's own types.  The classes here are for the
rest: atoms, pids, references, ports, funs, bitstrings and improper lists.  All
of them can be sent back, compared, hashed (but for the list) and pickled.

    >>> import erlang
    >>> erlang.Atom('ok') == 'ok'
    True

The module can be imported anywhere, so that code which uses it can be tested
in an ordinary Python; only what asks Erlang, and `LogHandler`, need a worker.
"""

try:
    import _erlang
except ImportError:  # an ordinary Python
    _erlang = None

__all__ = [
    "Atom",
    "BadArg",
    "BitString",
    "Cancelled",
    "Channel",
    "Error",
    "Fun",
    "ImproperList",
    "LogHandler",
    "Pid",
    "Port",
    "Reference",
    "SendError",
    "call",
    "call_async",
    "decoder",
    "encoder",
    "make_ref",
    "on_message",
    "receive",
    "self",
    "send",
    "span",
    "state",
    "traceparent",
    "whereis",
    "worker",
]


class Cancelled(BaseException):
    """The Erlang side gave up on the call that is running.

    Like KeyboardInterrupt it is not an Exception, so `except Exception` lets
    it through.  Who catches it should clean up and raise it again.
    """


class BadArg(ValueError):
    """An argument has no Python form, or is not what the function takes.

    Erlang sees it as {error, {badarg, Message}}.
    """


class SendError(RuntimeError):
    """A message was not sent, and the text says why.

    Nobody is registered under that name, the process is dead, the pool's
    option `send` does not allow it, or there is no connection to Erlang.
    """


class Error(RuntimeError):
    """A function of Erlang's that was called has failed.

    `class_` is 'error', 'exit' or 'throw', `reason` any term, `stacktrace` a
    list of dicts, the innermost function first.  A reason that Python has no
    value for is None, without a stacktrace.
    """

    def __init__(self, text, class_="error", reason=None, stacktrace=()):
        super().__init__(text, class_, reason, stacktrace)
        self.class_ = class_
        self.reason = reason
        self.stacktrace = stacktrace

    def __str__(self):
        return str(self.args[0])


class Atom(str):
    """An Erlang atom: a str that becomes an atom again.

    It equals its text, so `value == 'ok'` is all that most code needs.  The
    atoms true, false, none, nil and undefined never arrive as Atom, but as
    True, False and None.
    """

    __slots__ = ()

    def __new__(cls, text):
        if not isinstance(text, str):
            raise TypeError(
                f"the text of an atom is a str, not {type(text).__name__}"
            )
        if len(text) > 255:
            raise ValueError("an atom has at most 255 characters")
        text.encode()  # a lone surrogate has no form in Erlang
        return super().__new__(cls, text)

    def __repr__(self):
        return f"Atom({super().__repr__()})"


class _Immutable:
    """Base of immutable values: `_set` sets their slots once."""

    __slots__ = ()

    def _set(self, **slots):
        for name, value in slots.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name, value):
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def __delattr__(self, name):
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self


class _Opaque(_Immutable):
    """A term that only Erlang understands, in its external format."""

    __slots__ = ("_etf",)

    def __init__(self, etf):
        if type(etf) is not bytes:
            raise TypeError(f"{type(self).__name__}s come from Erlang only")
        self._set(_etf=etf)

    def __eq__(self, other):
        if type(other) is not type(self):
            return NotImplemented
        return self._etf == other._etf

    def __hash__(self):
        return hash(self._etf)

    def __reduce__(self):
        return type(self), (self._etf,)

    def __repr__(self):
        from ._show import show

        return f"<erlang.{type(self).__name__} {show(self._etf)}>"


class Pid(_Opaque):
    """An Erlang process.  Opaque: compare it, keep it, send it back."""

    __slots__ = ()


class Reference(_Opaque):
    """An Erlang reference.  Opaque: compare it, keep it, send it back."""

    __slots__ = ()


class Port(_Opaque):
    """An Erlang port.  Opaque: compare it, keep it, send it back."""

    __slots__ = ()


class Fun(_Opaque):
    """An Erlang fun.  Opaque, but it can be called: it runs in Erlang.

    That works while the call to which it was given runs, or as long as the
    context of that call is open.  Else, and with a wrong number of arguments,
    it raises Error.
    """

    __slots__ = ()

    def __call__(self, *args, **kwargs):
        return call(self, *args, **kwargs)


class BitString(_Immutable):
    """Bits whose number is not a multiple of eight: <<5:3>> in Erlang.

    `data` has the bytes, the last one filled from its highest bit, and `bits`
    is the number of bits in all of them.
    """

    __slots__ = ("data", "bits")

    def __init__(self, data, bits):
        data = bytes(data)
        if len(data) != (bits + 7) // 8:
            raise ValueError(f"{bits} bits are not {len(data)} bytes")
        unused = -bits % 8
        if unused:  # these mean nothing, so they make no difference either
            data = data[:-1] + bytes([data[-1] >> unused << unused])
        self._set(data=data, bits=bits)

    def __eq__(self, other):
        if type(other) is not type(self):
            return NotImplemented
        return (self.data, self.bits) == (other.data, other.bits)

    def __hash__(self):
        return hash((self.data, self.bits))

    def __reduce__(self):
        return type(self), (self.data, self.bits)

    def __repr__(self):
        return f"BitString({self.data!r}, {self.bits})"


class ImproperList(list):
    """A list that does not end with []: [1, 2 | tail] in Erlang."""

    __slots__ = ("tail",)

    def __init__(self, items, tail):
        super().__init__(items)
        self.tail = tail

    def __eq__(self, other):
        return (
            isinstance(other, ImproperList)
            and super().__eq__(other)
            and self.tail == other.tail
        )

    def __ne__(self, other):
        return not self == other

    __hash__ = None

    def __reduce__(self):
        return type(self), (list(self), self.tail)

    def __repr__(self):
        return f"ImproperList({super().__repr__()}, {self.tail!r})"


class _Memory:
    """The bytes of an object's memory, row by row, whatever they mean."""

    __slots__ = ("owner",)

    def __init__(self, owner):
        self.owner = owner


def encoder(cls, function=None):
    """Teach the encoder a class: `function(obj)` returns something simpler.

    Used as a decorator or called with the function:

        @erlang.encoder(Point)
        def point(obj):
            return (obj.x, obj.y)

        erlang.encoder(Money, str)

    It holds for subclasses, too, unless they have their own.  What it returns
    may need an encoder in turn.  An encoder of a class that inherits from a
    core type may return the object itself, to be sent as that type.  One for
    `object` is asked last, for what nothing else can encode.
    """
    from . import _encode

    if function is None:
        return lambda function: _encode.register(cls, function)
    return _encode.register(cls, function)


def decoder(tag, function=None):
    """Teach the decoder a tag: what `{tag, X, Y}` becomes as an argument.

    `function(x, y)` gets what stands behind the atom.  Used as a decorator or
    called with the function, which may be a class:

        @erlang.decoder("point")
        def point(x, y):
            return Point(x, y)

        erlang.decoder("money", Money)

    Tuples within tuples come first.  If it returns NotImplemented, the tuple
    stays one; if it raises, the request is answered with `badarg`.
    """
    from . import _decode

    tag = Atom(tag)
    if function is None:
        return lambda function: _decode.register(tag, function)
    return _decode.register(tag, function)


def _in_worker(name):
    """The module of the program, without which there is no such function."""
    if _erlang is None:
        raise SendError(f"erlang.{name} works in a pyport worker only")
    return _erlang


def send(to, term):
    """Send a message to an Erlang process.

    `to` is a Pid, or the name under which a process is registered, if the
    pool's option `send` allows names.  Returns when the message has been
    sent; raises SendError when it cannot be.  As in Erlang, you do not learn
    whether it was received.
    """
    if isinstance(to, str):
        to = Atom(to)
    elif not isinstance(to, Pid):
        raise TypeError(f"send to a Pid or a name, not {type(to).__name__}")
    _in_worker("send").send(to, term)


def call(function, /, *args, **kwargs):
    """Call a function that is registered in Erlang, and return its value.

    `function` is its name; or a Fun, which is the same as to call that.
    Keyword arguments become a map behind the others, if there are any.
    Raises Error when the function fails, or there is none of that name.  What
    is registered as `name` is also `erlang.name`.
    """
    return _in_worker("call").call(function, args, kwargs)


def call_async(function, /, *args, **kwargs):
    """The same for coroutines: `await erlang.call_async("price", "tea")`.

    The event loop goes on until the value is there.  If the task is cancelled
    meanwhile, Erlang ends the function.
    """
    _in_worker("call_async")
    from ._aio import call

    return call(function, args, kwargs)


def span(name, /, **attributes):
    """Tell Erlang how long a part of the code takes: a span of a trace.

    Used in a `with` statement or as a decorator:

        with erlang.span("parse", file=path) as span:
            rows = parse(path)
            span.set(rows=len(rows))

        @erlang.span("resize")
        def resize(image): ...

    Spans within it have it for their parent.  When it is over, Erlang hears
    of it: what it is called, how long it took, its attributes, and the
    exception that has left it, if one has.
    """
    from ._span import Span

    return Span(name, attributes)


def traceparent():
    """The current span in the form of W3C Trace Context, for others to go on.

    That is what HTTP has in its header `traceparent`.  Outside of all spans
    it is what the call had for an option, or None.
    """
    from ._span import traceparent

    return traceparent()


def _milliseconds(seconds):
    """In whole milliseconds, rounded up, as Erlang has them; None stays."""
    if seconds is None:
        return None
    ms = min(max(seconds, 0) * 1000, 0xFFFFFFFF)
    whole = int(ms)
    return whole if ms - whole < 0.001 else whole + 1


def receive(timeout=None):
    """The next message that `py:send/2` has sent; waits for one.

    It is one to the context whose code runs, or else to the worker.  Raises
    TimeoutError if there is none within `timeout` seconds: 0 does not wait,
    None waits as long as the call may take.  A thread other than the main
    one gets the worker's messages.
    """
    program = _in_worker("receive")
    ms = _milliseconds(timeout)
    taken = program.receive(-1 if ms is None else ms)
    if taken is None:
        raise TimeoutError(f"there was no message within {timeout} s")
    return taken[0]


def on_message(handler):
    """Have this called with each message that `py:send/2` has sent.

    Used as a decorator or called with the function, which may be a coroutine
    function:

        @erlang.on_message
        def changed(message):
            cache.pop(message, None)

    The messages are those that `receive` would take, also those that are
    there already.  They come one at a time, between the calls of the worker,
    or, if it is a coroutine function, beside them.  What it returns is of no
    use; what it raises is in Erlang's log.  A new handler takes the place of
    the one before; None only ends that.  Returns the handler.
    """
    if handler is not None and not callable(handler):
        raise TypeError(
            f"a handler is a function, not {type(handler).__name__}"
        )
    _in_worker("on_message").on_message(handler)
    return handler


def whereis(name):
    """The Pid of the process that is registered under this name, or None.

    Raises SendError if the pool's option `send` does not allow the name: who
    has a Pid can send to it.
    """
    if not isinstance(name, str):
        raise TypeError(f"a name is a str, not {type(name).__name__}")
    return _in_worker("whereis").whereis(str(name))


def self():
    """The Pid of the process that has called what runs now.

    None if nobody waits for it, as after a cast, or if nothing runs.  In a
    thread it is what the worker runs meanwhile that counts.
    """
    return _in_worker("self").self()


def make_ref():
    """A new Reference, which is like no other."""
    return _in_worker("make_ref").make_ref()


def worker():
    """The number of this worker in its pool: 1, 2 and so on.

    A worker that takes the place of another has its number.  None in an
    ordinary Python.
    """
    return None if _erlang is None else _erlang.worker()


def __getattr__(name):
    """What is imported when it is first asked for, and functions of Erlang's."""
    if name == "LogHandler":
        __import__("logging")  # brings ours with it, or else neither is there

        from ._logging import LogHandler

        return LogHandler
    if name == "state":
        from ._state import state

        globals()[name] = state
        return state
    if name == "Channel" and _erlang is not None:
        from ._channel import Channel

        return Channel
    if _erlang is not None and not name.startswith("_"):
        from ._functions import find

        function = find(name)
        if function is not None:
            return function
    raise AttributeError(f"module 'erlang' has no attribute {name!r}")
