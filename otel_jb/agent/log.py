"""The agent's own log: one line an event on standard error, for people or as JSON."""

from __future__ import annotations

import json
import logging
import sys
import time


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """One JSON object: time (UTC), level, logger, message."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        return json.dumps(
            {
                "time": f"{stamp}.{int(record.msecs):03d}Z",
                "level": record.levelname.lower(),
                "logger": record.name,
                "message": record.getMessage(),
            }
        )


def configure(level: str, form: str) -> None:
    """Log to standard error from `level` on, as `text` or `json`.

    Only the agent's own loggers: what libraries log about an unreachable Collector would be said again and again.
    """
    handler = logging.StreamHandler(sys.stderr)
    if form == "json":
        handler.setFormatter(_JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S"))
    logger = logging.getLogger("otel_jb")
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
