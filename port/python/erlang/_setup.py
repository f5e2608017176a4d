# SPDX-License-Identifier: Apache-2.0
"""What a worker does to its interpreter before the first request."""

import sys

from erlang import _log, _output


def setup() -> None:
    """Make printed lines appear at once: nobody flushes a worker."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(  # type: ignore[attr-defined]
            line_buffering=True, errors="backslashreplace"
        )
    _output.install()
    _log.install()
