# SPDX-License-Identifier: Apache-2.0
"""What a class is called in messages, and names as text."""

from __future__ import annotations

# Not cls.__qualname__: a metaclass may have its own idea of attributes.
_module_of = vars(type)["__module__"].__get__
_qualname_of = vars(type)["__qualname__"].__get__
short_name = vars(type)["__name__"].__get__


def full_name(cls: type) -> str:
    """The class's name with its module, unless it is one of builtins."""
    module, name = _module_of(cls), _qualname_of(cls)
    return name if module == "builtins" else f"{module}.{name}"


def said(exc: Exception) -> str:
    """The message of an exception, whose __str__ may raise."""
    try:
        return str(exc)
    except Exception as failure:
        return f"<no message: str() raised {full_name(type(failure))}>"


def clean(text: str) -> str:
    """An exact str without lone surrogates, which names of files may have."""
    return str.encode(text, "utf-8", "backslashreplace").decode()
