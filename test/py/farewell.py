# SPDX-License-Identifier: Apache-2.0
"""What Python says, and how it holds up its end, for the tests of last words."""

from __future__ import annotations

import atexit
import logging
import sys
import threading
import time
import warnings

import erlang


def words(mark: str) -> None:
    """Says things in every way when Python ends, each with the mark."""

    def bye() -> None:
        print(f"{mark}: printed")
        print(f"{mark}: on stderr", file=sys.stderr)
        logging.getLogger("farewell").error("%s: logged", mark)
        warnings.warn(f"{mark}: warned", stacklevel=1)
        print(f"{mark}: without an end", end="")
        raise ValueError(f"{mark}: raised")

    atexit.register(bye)


def message(to: erlang.Pid, term: object) -> None:
    """Sends a message when Python ends."""
    atexit.register(erlang.send, to, term)


def slowly(seconds: float) -> None:
    """Python takes this long to end."""
    atexit.register(time.sleep, seconds)


def print_for_ever() -> None:
    """A thread for which Python waits at its end."""

    def run() -> None:
        while True:
            print("x" * 1000)

    threading.Thread(target=run).start()


def send_for_ever() -> None:
    """The same, with messages for nobody; what it cannot send it sends again."""

    def run() -> None:
        while True:
            try:
                erlang.send("nobody", "x" * 1000)
            except RuntimeError:
                time.sleep(0.01)

    threading.Thread(target=run).start()
