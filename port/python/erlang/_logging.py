# SPDX-License-Identifier: Apache-2.0
"""What Python logs, as events: imported with Python's logging, not before."""

from __future__ import annotations

import logging

from erlang import Atom, _imports, _log, _output

TYPE_CHECKING = False  # importing typing takes memory
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_LEVELS = (
    (logging.CRITICAL, Atom("critical")),
    (logging.ERROR, Atom("error")),
    (logging.WARNING, Atom("warning")),
    (logging.INFO, Atom("info")),
)
_LEAST = Atom("debug")

_message_only = logging.Formatter()


def _level(number: int) -> Atom:
    return next((name for least, name in _LEVELS if number >= least), _LEAST)


class LogHandler(logging.Handler):
    """Sends records of Python's logging to Erlang's logger.

    Records that no handler of the program takes go through one of these, and
    those that a handler would write to standard output or standard error.  Add
    one to a configuration of your own to keep the level and the place.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record, with its traceback if it has one."""
        try:
            _say_record(record, self.format(record))
        except Exception:
            self.handleError(record)


def _say_record(record: logging.LogRecord, text: str) -> None:
    """A record made by hand may lack what says where it comes from."""
    _output.say(
        Atom("logging"),
        _level(record.levelno),
        text,
        {
            Atom("logger"): getattr(record, "name", None),
            Atom("file"): getattr(record, "pathname", None),
            Atom("line"): getattr(record, "lineno", None),
        },
    )


class _LastResort(LogHandler):
    """What logging falls back on where no handler is configured."""

    def emit(self, record: logging.LogRecord) -> None:
        if _output.captured is None:
            super().emit(record)
        else:
            _log.below["lastResort"].emit(record)


def _emit_to_stream(handler: Any, record: logging.LogRecord) -> None:
    """The method `emit` of logging.StreamHandler while Erlang listens.

    basicConfig, which logging.warning() calls by itself, makes a handler for
    standard error: level and place would be lost there.
    """
    stream = getattr(handler, "stream", None)
    ours = any(stream is output for output in _output.outputs)
    if not ours or _output.captured is not None:
        _log.below["emit"](handler, record)
        return
    try:
        _say_record(record, _formatter(handler).format(record))
    except Exception:
        handler.handleError(record)


def _formatter(handler: logging.Handler) -> logging.Formatter:
    """What it says beside the message by default, an event says anyway."""
    formatter = handler.formatter
    basic = getattr(formatter, "_fmt", None) == logging.BASIC_FORMAT
    return _message_only if formatter is None or basic else formatter


def _follow(module: ModuleType) -> None:
    """Python's logging is there: now, or anew, as reload makes it."""
    _log.add("lastResort", module, _LastResort())
    _log.add("emit", getattr(module, "StreamHandler"), _emit_to_stream)


_imports.watch("logging", _log.unless_foreign(_follow))
