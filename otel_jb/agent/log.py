# SPDX-License-Identifier: Apache-2.0
"""The agent's own log: one line per event on standard error, as text or JSON.

Nothing in a message can end its line or move a cursor, whatever a target calls itself.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Mapping
from types import TracebackType

from otel_jb.model.stream import Target
from otel_jb.model.text import printable, printable_lines

FIELDS = ("pid", "target", "function")  #: the subjects of a record; separate fields in JSON
_MAX_MESSAGE = 8192

_logger = logging.getLogger(__name__)

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def about(target: Target, function: str | None = None) -> Mapping[str, str | int]:
    """What a message is about, for `extra=`: the process, its service name, and a function of it."""
    fields: dict[str, str | int] = {"pid": target.pid, "target": target.service_name}
    if function is not None:
        fields["function"] = function
    return fields


class _TextFormatter(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's own name)
        record.message = printable(record.message, _MAX_MESSAGE)
        return super().formatMessage(record)

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802
        return printable_lines(super().formatException(ei))


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """One JSON object: time (UTC), level, logger, message, subject, and the exception if there is one."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry: dict[str, object] = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": printable(record.getMessage(), _MAX_MESSAGE),
        }
        for name in FIELDS:
            value = getattr(record, name, None)
            if value is not None:
                entry[name] = printable(value) if isinstance(value, str) else value
        if record.exc_info:
            entry["exception"] = printable_lines(self.formatException(record.exc_info))
        return json.dumps(entry)


def configure(level: str, form: str) -> None:
    """Log to standard error from `level` on, as `text` or `json`; nothing else writes there.

    The agent's own loggers; those of libraries at level `debug` only, since what they log about an unreachable Collector would be
    said again and again. Warnings and exceptions of threads, which Python would print raw, become records too.
    """
    handler = logging.StreamHandler(sys.stderr)
    if form == "json":
        handler.setFormatter(_JsonFormatter())
    else:
        handler.setFormatter(_TextFormatter("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S"))
    logger = logging.getLogger("otel_jb")
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
    # A logger without any handler would print its warnings as they are.
    logging.getLogger().handlers[:] = [handler if level == "debug" else logging.NullHandler()]
    logging.captureWarnings(True)
    threading.excepthook = _log_thread
    sys.unraisablehook = _log_unraisable


def _log_thread(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_type is SystemExit or failed.exc_value is None:
        return
    name = failed.thread.name if failed.thread is not None else "?"
    _logger.error("the thread %s ended", name, exc_info=failed.exc_value)


def _log_unraisable(failed: sys.UnraisableHookArgs) -> None:
    _logger.debug("%s: %r", failed.err_msg or "ignored", failed.exc_value)
