"""The server's log: one JSON object a line, with nothing of an image, a patient or a token. Imports the standard library.

What is logged is named in `event`'s callers: kinds of requests, counts, times, names of users, and a session's mark, which is no way in.
Of errors only kinds and places in the program are logged, never their texts, which may quote what was sent.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
import time
import traceback
from typing import TextIO

_log = logging.getLogger("sam2annotate.server")


def event(name: str, **details: str | float | bool | None) -> None:
    """Log that something happened."""
    _log.info(name, extra={"details": details})


def mark_of(session: str) -> str:
    """A session in the log: tells it from others, and does not open it."""
    return hashlib.sha256(session.encode()).hexdigest()[:10]


class JsonLines(logging.Formatter):
    """Records as JSON. Of other packages' records only level, name and kind of error are kept."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {"time": f"{stamp}.{int(record.msecs):03d}Z", "level": record.levelname.lower()}
        details = getattr(record, "details", None)
        if details is not None:
            line |= {"event": record.msg, **details}
        else:
            line |= {"event": "log", "logger": record.name}
            if record.exc_info is None and record.name == "uvicorn.error":
                line["text"] = record.getMessage()[:300]  # of starting and stopping
        if record.exc_info and record.exc_info[0] is not None:
            places = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in traceback.extract_tb(record.exc_info[2])]
            line |= {"event": "fault", "error": record.exc_info[0].__name__, "where": places[-8:]}
        return json.dumps(line, default=str)


def _is_news(record: logging.LogRecord) -> bool:
    """uvicorn takes a handshake that was refused, which is logged as such already, for a fault of the application."""
    return "without completing handshake" not in record.getMessage()


def start_logging(stream: TextIO | None = None) -> None:
    """Let everything that this process logs go to one stream, standard error, in this form."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    handler.addFilter(_is_news)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    _log.setLevel(logging.INFO)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
