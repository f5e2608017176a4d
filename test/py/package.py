# SPDX-License-Identifier: Apache-2.0
"""The package `erlang` by itself, run by test/c/value/test_value: raises or not."""

import array
import copy
import ctypes
import enum
import gc
import mmap
import pickle
import weakref

import erlang
from erlang import Atom, BitString, ImproperList, Pid, Port, _encode, _form


def raises(expected, function, *args):
    try:
        function(*args)
    except expected:
        return
    raise AssertionError((expected, function, args))


def lower(obj):
    return _encode.lower(obj, _form.Form(False, False, "records"))


def atoms():
    atom = Atom("ok")
    assert atom == "ok" and {atom: 1}["ok"] == 1
    assert repr(atom) == "Atom('ok')" and f"{atom}" == "ok"
    assert type(str(atom)) is str
    assert len(Atom("\xfc" * 255)) == 255
    raises(ValueError, Atom, "a" * 256)
    raises(ValueError, Atom, "\ud800")
    raises(TypeError, Atom, 5)


def values_that_stay():
    for value in Atom("x"), Pid(b"x"), BitString(b"x", 3), ImproperList([1], 2):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            again = pickle.loads(pickle.dumps(value, protocol))
            assert again == value and type(again) is type(value)
        assert copy.deepcopy(value) == value == copy.copy(value)


def opaque_terms():
    assert Pid(b"a") == Pid(b"a") != Pid(b"b")
    assert Pid(b"a") != Port(b"a")
    raises(AttributeError, setattr, Pid(b"a"), "_etf", b"b")
    raises(AttributeError, setattr, Pid(b"a"), "other", 1)
    raises(AttributeError, delattr, Pid(b"a"), "_etf")
    raises(TypeError, Pid, "a")


def bitstrings():
    assert BitString(b"\xff", 3) == BitString(b"\xe0", 3)
    assert BitString(b"\xe0", 3) != BitString(b"\xe0", 4)
    raises(ValueError, BitString, b"ab", 3)
    raises(AttributeError, setattr, BitString(b"a", 3), "bits", 4)


def improper_lists():
    value = ImproperList([1], 2)
    assert value == ImproperList([1], 2) != ImproperList([1], 3)
    assert value != [1] and [1] != value
    raises(TypeError, hash, value)


def encoders_are_found_by_class():
    class Base:
        pass

    class Derived(Base):
        pass

    class Other:
        pass

    class Level(enum.IntEnum):
        LOW = 1

    erlang.encoder(Base, lambda obj: "base")
    assert lower(Derived()) == "base"
    erlang.encoder(Derived)(lambda obj: "derived")
    assert lower(Derived()) == "derived" and lower(Base()) == "base"
    raises(TypeError, lower, Other())
    erlang.encoder(object, lambda obj: "any")
    try:
        assert lower(Other()) == "any"
        assert lower(Level.LOW) == 1
        assert lower(array.array("B", [7])) == b"\7"
        assert lower(array.array("i", [7])) == [7]
        assert lower(iter([])) == "any"
    finally:
        del _encode._registered[object]
        _encode._found.clear()


def encoders_that_cannot_be():
    raises(TypeError, erlang.encoder, 5, str)
    raises(ValueError, erlang.encoder, int, str)
    raises(ValueError, erlang.encoder, Pid, str)
    raises(TypeError, erlang.encoder(type("C", (), {})), 5)


def encoders_do_not_keep_classes():
    class Short:
        pass

    erlang.encoder(Short, lambda obj: 1)
    lower(Short())
    short = weakref.ref(Short)
    del Short
    gc.collect()
    assert short() is None


def buffers():
    assert lower(ctypes.create_string_buffer(b"ab")).tobytes() == b"ab\0"
    assert lower(mmap.mmap(-1, 4)).tobytes() == bytes(4)
    assert lower(memoryview(b"abcd")[::2]).tobytes() == b"ac"
    assert lower(array.array("b", [-1])) == [-1]
    assert lower(memoryview(b"abcd").cast("B", (1, 4))) == [[97, 98, 99, 100]]
    raises(TypeError, lower, memoryview((ctypes.c_void_p * 1)()))


atoms()
values_that_stay()
opaque_terms()
bitstrings()
improper_lists()
encoders_are_found_by_class()
encoders_that_cannot_be()
encoders_do_not_keep_classes()
buffers()
