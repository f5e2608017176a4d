# SPDX-License-Identifier: Apache-2.0
"""Code as it stands in a file of another language: indented, perhaps behind a
byte order mark.  The numbers of its lines stay."""

import os.path

_MARK = "\ufeff"


def expression(text: str) -> str:
    """Without what is in front of the first word."""
    text = text.removeprefix(_MARK)
    word = text.lstrip()
    return "\n" * text[: len(text) - len(word)].count("\n") + word


def statements(text: str) -> str:
    """Without what all lines are indented by.

    A line of a string that reaches over several lines is a line like others.
    """
    lines = text.removeprefix(_MARK).split("\n")
    blanks = [line[: -len(line.lstrip(" \t"))] for line in lines if line.strip()]
    margin = len(os.path.commonprefix(blanks))
    return "\n".join(line[margin:] for line in lines)
