"""Logs as JSON lines on standard error: time, level, message and whatever fields a call gives."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from lifeboat.config.errors import LifeboatError

LOGGER = logging.getLogger("lifeboat.serving")


class JsonLines(logging.Formatter):
    """One JSON object a record; `extra={"fields": {...}}` adds to it."""

    def format(self, record: logging.LogRecord) -> str:
        raw = getattr(record, "raw", None)
        if isinstance(raw, str):
            return raw  # a line that a server has formatted already
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "pid": record.process,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def set_up() -> None:
    """Sends every logger's records, asyncio's included, to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def info(message: str, **fields: Any) -> None:
    """Logs what happened."""
    LOGGER.info(message, extra={"fields": fields})


def error(message: str, exception: BaseException | None = None, **fields: Any) -> None:
    """Logs what went wrong, with the traceback of an exception that nobody expected."""
    LOGGER.error(message, exc_info=exception, extra={"fields": fields})


def run_program(work: Callable[[], None]) -> int:
    """A program's exit code: 0 once its work is done, 1 with a line of the log where it ends by an error of ours."""
    set_up()
    try:
        work()
    except LifeboatError as problem:
        error(str(problem))
        return 1
    return 0
