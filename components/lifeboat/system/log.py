"""Logs as JSON lines on standard error, one schema for every program: docs/observability.md lists its fields.

A line has time, level, pid, service and message; trace_id and span_id where its request is traced, request_id where it
belongs to one; and whatever fields a call gives.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lifeboat.config.errors import LifeboatError
from lifeboat.config.observed import LEVELS, ObservedSettings
from lifeboat.system.files import file_state

LOGGER = logging.getLogger("lifeboat.serving")
# Of all that is ours; what libraries say below `info` is for their makers.
_OURS = logging.getLogger("lifeboat")


class JsonLines(logging.Formatter):
    """One JSON object a record; `extra={"fields": {...}}` adds to it.

    Args:
        service: what this program is.
    """

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        raw = getattr(record, "raw", None)
        if isinstance(raw, str):
            return raw  # a line that a server has formatted already
        said = record.levelname.lower(), record.getMessage(), getattr(record, "fields", {})
        line = line_of(self._service, record.created, *said)
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def line_of(service: str, seconds: float, level: str, message: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What every line holds, and its own fields.

    Args:
        service: what the program is.
        seconds: since 1970.
        level, message, fields: of the line.
    """
    moment = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    head = {"time": moment, "level": level, "pid": os.getpid(), "service": service, "message": message}
    return {**head, **fields}


class _Level:
    """The least level in force: that of the settings, unless a file says another one."""

    def __init__(self, settings: ObservedSettings) -> None:
        self._own, self._path = settings.log_level, Path(settings.log_level_file) if settings.log_level_file else None
        self._known: Any = None
        self._trouble = ""
        _apply(self._own)

    def look(self) -> None:
        """Reads the file again where it was changed; one that holds no level leaves what was in force."""
        if self._path is None or (state := file_state(self._path)) == self._known:
            return
        try:
            said = self._path.read_text("utf-8", errors="replace").strip().lower() if state else ""
        except OSError as problem:
            # It is tried again each time, and said once.
            if str(problem) != self._trouble:
                error("the level of the log is that of before", path=str(self._path), reason=str(problem))
            self._trouble = str(problem)
            return
        self._known, self._trouble = state, ""
        if said and said not in LEVELS:
            error("the level of the log is that of before", path=str(self._path), reason="it holds no level")
            return
        _apply(said or self._own)


_level: _Level | None = None


def set_up(service: str) -> None:
    """Sends every logger's records, asyncio's included, to standard error as JSON lines of a service."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(service))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def choose_level(settings: ObservedSettings) -> None:
    """Takes the level of a program's settings, or of the file that they name; `look_at_level` looks at it again."""
    global _level
    _level = _Level(settings)
    _level.look()


def look_at_level() -> None:
    """Takes another level where the file of the settings says one; to be called now and then."""
    if _level is not None:
        _level.look()


def debug(message: str, **fields: Any) -> None:
    """Logs what only somebody who looks for a fault wants to see."""
    LOGGER.debug(message, extra={"fields": fields})


def shows_debug() -> bool:
    """Whether `debug` logs anything."""
    return LOGGER.isEnabledFor(logging.DEBUG)


def request(status: int, seconds: float, *, chosen: bool, **fields: Any) -> None:
    """Logs a request that was answered: where that was chosen or it went wrong, and else to whoever looks for a fault.

    Args:
        status: as HTTP has it.
        seconds: that it took.
        chosen: whether each is to be a line.
        fields: what it was.
    """
    tell = info if chosen or status >= 500 else debug
    tell("request", status=status, milliseconds=round(seconds * 1000, 3), **fields)


def info(message: str, **fields: Any) -> None:
    """Logs what happened."""
    LOGGER.info(message, extra={"fields": fields})


def error(message: str, exception: BaseException | None = None, **fields: Any) -> None:
    """Logs what went wrong, with the traceback of an exception that nobody expected."""
    LOGGER.error(message, exc_info=exception, extra={"fields": fields})


def run_program(service: str, work: Callable[[], None]) -> int:
    """A program's exit code: 0 once its work is done, 1 with a line of the log where it ends by an error of ours."""
    set_up(service)
    try:
        work()
    except LifeboatError as problem:
        error(str(problem))
        return 1
    return 0


def _apply(level: str) -> None:
    chosen: int = getattr(logging, level.upper())
    _OURS.setLevel(chosen)
    logging.root.setLevel(max(chosen, logging.INFO))
