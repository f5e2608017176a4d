# SPDX-License-Identifier: Apache-2.0
"""The atoms that the sources of the program send, found by reading them."""

import ast
import glob
import re

# The calls with which C code writes an atom, or names one: a function that takes
# over from one of these goes in, or its atoms are "listed" and never "sent".
# Classes of exceptions are not meant: hello says which there are.
_CALL = re.compile(
    r"\b(?:put_atom_z|put_error_text|reply_error|answer_error|answer_begin|reply_say"
    r"|withdraw|event_begin|map_take|put_number|add_feature)"
    r'\([^";]*?"([a-z]\w*)"'
)
_CHOICE = re.compile(
    r'\b(?:put_atom_z|answer_begin)\([^;]*?"(\w+)" : "(\w+)"'
)
_NONE = re.compile(r'\.none = "(\w+)"')
# The guard that holds is never `auto`.
_GUARD = re.compile(r'\[GUARD_(?!AUTO)\w+\] = "(\w+)"')
# The event that is written by hand: its first line is "event" already.
_CRASH = re.compile(r'"(\w+)m";')


def in_c(root):
    """{atom: file}"""
    found = {}
    for name in glob.glob(f"{root}/port/**/*.[ch]", recursive=True):
        with open(name, encoding="utf-8") as file:
            text = file.read()
        for pattern in (_CALL, _CHOICE, _NONE, _GUARD, _CRASH):
            for match in pattern.finditer(text):
                found.update(dict.fromkeys(match.groups(), name))
    return found


def in_python(root):
    """{atom: file}, and the files in which atoms come from other text."""
    found, others = {}, set()
    for name in glob.glob(f"{root}/port/python/erlang/*.py"):
        with open(name, encoding="utf-8") as file:
            tree = ast.parse(file.read())
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            if ast.unparse(node.func) in ("Atom", "_erlang.event"):
                text = node.args[0]
                if isinstance(text, ast.Constant):
                    found[text.value] = name
                else:
                    others.add(name.rpartition("/")[2])
    return found, others
