# SPDX-License-Identifier: Apache-2.0
"""The frame under every call from Erlang."""


def call(function, args, kwargs):
    """Call the function; kwargs may be None.

    The worker runs this code with the names of __main__ for its globals.
    """
    return function(*args, **kwargs) if kwargs else function(*args)
