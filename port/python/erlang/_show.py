# SPDX-License-Identifier: Apache-2.0
"""Opaque Erlang terms as text for people, made from their external format.

The numbers are those that Erlang prints, with the name of the node in place of
the first one, which differs from node to node.
"""


def _number(etf, at, width):
    if at + width > len(etf):
        raise IndexError
    return int.from_bytes(etf[at : at + width], "big")


def _atom(etf, at):
    """The text of the atom at `at`, and what follows it."""
    width = {b"d": 2, b"v": 2, b"s": 1, b"w": 1}[etf[at : at + 1]]
    start = at + 1 + width
    end = start + _number(etf, at + 1, width)
    latin1 = etf[at : at + 1] in b"ds"
    return etf[start:end].decode("latin-1" if latin1 else "utf-8"), end


def _pid(etf):
    node, at = _atom(etf, 1)
    return f"{node}.{_number(etf, at, 4)}.{_number(etf, at + 4, 4)}"


def _port(etf):
    node, at = _atom(etf, 1)
    return f'{node}.{_number(etf, at, 8 if etf[:1] == b"x" else 4)}'


def _reference(etf):
    node, at = _atom(etf, 3)
    at += 4 if etf[:1] == b"Z" else 1
    words = [_number(etf, i, 4) for i in range(at, len(etf), 4)]
    return ".".join([node, *map(str, reversed(words))])


def _export(etf):
    module, at = _atom(etf, 1)
    function, at = _atom(etf, at)
    return f"{module}:{function}/{_number(etf, at + 1, 1)}"


def _closure(etf):
    module, _ = _atom(etf, 30)
    return f"{module}/{_number(etf, 5, 1)}"


_SHOW = {
    b"X": _pid,
    b"g": _pid,
    b"Y": _port,
    b"f": _port,
    b"x": _port,
    b"Z": _reference,
    b"r": _reference,
    b"q": _export,
    b"p": _closure,
}


def show(etf):
    """A line of text, whatever the bytes are."""
    try:
        return _SHOW[etf[:1]](etf)
    except (LookupError, ValueError):
        return etf.hex()
