# SPDX-License-Identifier: Apache-2.0
"""What the threads of a worker are doing right now."""

from __future__ import annotations

import sys
import traceback
from itertools import takewhile
from types import FrameType

from erlang import Atom, _source, _threads
from erlang._names import clean

_OWN = __file__.rpartition("/")[0] + "/"


def _looks_on(frame: traceback.FrameSummary) -> bool:
    """Whether it is from here: another thread may have been asked, too."""
    return frame.filename == _OWN + "_stack.py"


def _frames(innermost: FrameType | None) -> list[dict[Atom, object]]:
    stack = traceback.extract_stack(innermost)
    return [
        {
            Atom("file"): clean(frame.filename),
            Atom("line"): frame.lineno,
            Atom("function"): clean(frame.name),
            Atom("text"): clean(frame.line or ""),
        }
        for frame in takewhile(lambda frame: not _looks_on(frame), stack)
        if not frame.filename.startswith(_OWN)
    ]


def thread_names() -> dict[int | None, str]:
    """By their numbers.  It is not the one to import threading."""
    threads = getattr(sys.modules.get("threading"), "enumerate", None)
    if threads is None:
        return {_threads.MAIN: "MainThread"}
    return {thread.ident: thread.name for thread in threads()}


def stacks() -> list[dict[Atom, object]]:
    """The stack of each thread that runs Python, outermost frame first.

    The main thread, which runs the jobs, comes first; a thread that has no
    frames but ours is left out.
    """
    _source.show_all()
    names = thread_names()
    found = sorted(
        sys._current_frames().items(),
        key=lambda item: item[0] != _threads.MAIN,
    )
    return [
        {
            Atom("thread"): clean(names.get(ident, str(ident))),
            Atom("frames"): frames,
        }
        for ident, innermost in found
        if (frames := _frames(innermost))
    ]
