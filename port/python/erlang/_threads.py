# SPDX-License-Identifier: Apache-2.0
"""Which thread is the main one, as Python's threading sees it, too."""

from __future__ import annotations

import _thread
import os

TYPE_CHECKING = False  # importing typing takes memory
if TYPE_CHECKING:
    from typing import Any

# The thread that runs the jobs.
MAIN = _thread.get_ident()


def mend_main(threading: Any) -> None:
    """Until Python 3.13 it takes the thread that imports it for the main one.

    From then on it takes just its native_id.  That thread may be any, as a
    collection runs finalizers where it is asked for.  Python's end waits for
    the locks of threads: for the main one's no more.
    """
    main = threading._main_thread
    main._native_id = os.getpid()
    if main.ident == MAIN:
        return
    threading._shutdown_locks.discard(main._tstate_lock)
    main._tstate_lock = _thread.allocate_lock()
    main._tstate_lock.acquire()
    threading._active.pop(main.ident)
    main._ident = MAIN
    threading._active[MAIN] = main


def _forked() -> None:
    global MAIN
    MAIN = _thread.get_ident()


def install() -> None:
    """The thread that has forked is the main one of the child."""
    os.register_at_fork(after_in_child=_forked)
