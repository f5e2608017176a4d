# SPDX-License-Identifier: Apache-2.0
"""What a worker does to its interpreter before the first request."""

import sys

from erlang import _log, _output


def setup() -> None:
    """Make printed lines appear at once: nobody flushes a worker."""
    # Since 3.13 the first traceback does this: too late, when a file of the
    # user's may have that name.
    __import__("tokenize")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(  # type: ignore[attr-defined]
            line_buffering=True, errors="backslashreplace"
        )
    _output.install()
    _log.install()
