"""Answers as Seldon's detector does: a CloudEvent for each judged window, and with names instead of positions."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import orjson

from lifeboat.config.errors import SettingsError
from lifeboat.detector.database import Database
from lifeboat.http.http_client import Target, post
from lifeboat.system import log
from lifeboat.system.backoff import pauses

TYPE = "io.seldon.serving.inference.drift"
TRIES = 5
FIRST_DELAY, LONGEST_DELAY, BROKEN_SECONDS = 0.5, 8.0, 2.0
NEXT = """SELECT w.version, w.number, w.closed, w.verdict, w.alarm, v.model, v.version, v.digest FROM windows w
JOIN versions v ON v.id = w.version WHERE w.state = 'judged' AND w.replied = 0 ORDER BY w.closed LIMIT 1"""


class Notifier:
    """The task that posts.

    Args:
        url: of the receiver.
        database: holds the verdicts and whether they were posted.

    Raises:
        SettingsError: the URL is none.
    """

    def __init__(self, url: str, database: Database) -> None:
        try:
            self._target = Target.of(url)
        except ValueError as error:
            raise SettingsError(f"reply_url is {url!r}: {error}") from None
        self._database, self._connection = database, database.connect()
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """A window was judged."""
        self._awake.set()

    async def run(self) -> None:
        """Posts until it is cancelled."""
        while True:
            try:
                row = await asyncio.to_thread(lambda: self._connection.execute(NEXT).fetchone())
                if row is not None:
                    await self._deliver(orjson.dumps(describe(*row)))
                    await asyncio.to_thread(self._note, row[0], row[1])
                    continue
            except sqlite3.Error as error:  # a full disk, say: the verdict is posted again, with the same id
                log.error("posting of verdicts waits for the database", reason=str(error))
                await asyncio.sleep(BROKEN_SECONDS)
                continue
            await self._awake.wait()
            self._awake.clear()

    def close(self) -> None:
        """Lets go of the database."""
        self._connection.close()

    async def _deliver(self, body: bytes) -> None:
        for delay in islice(pauses(FIRST_DELAY, LONGEST_DELAY), TRIES):
            try:
                status = (await post(self._target, body, "application/cloudevents+json")).status
                if status < 300:
                    return
                reason = f"status {status}"
            except (OSError, ValueError, asyncio.IncompleteReadError) as error:
                reason = repr(error)
            log.error("a verdict cannot be posted", url=self._target.url, reason=reason)
            await asyncio.sleep(delay)

    def _note(self, version: int, number: int) -> None:
        with self._database.writing(self._connection) as connection:
            connection.execute("UPDATE windows SET replied = 1 WHERE version = ? AND number = ?", (version, number))


def describe(
    id_: int, number: int, closed: float, verdict: bytes, alarm: int, model: str, version: str, digest: str
) -> dict[str, Any]:
    """The event of a judged window; its id is the same however often it is posted."""
    found = orjson.loads(verdict)
    features = found["features"]
    data = {
        "is_drift": {feature["name"]: int(feature["drift"]) for feature in features},
        **{key: _by_name(features, key) for key in ("distance", "p_val", "threshold")},
    }
    meta = {"name": "lifeboat", "detector_type": "drift", "model": model, "version": version, "bundle_digest": digest}
    return {
        "specversion": "1.0",
        "id": f"{digest[:16]}-{version}-{id_}-{number}",
        "type": TYPE,
        "source": "lifeboat.drift",
        "time": datetime.fromtimestamp(closed, UTC).isoformat(),
        "modelid": model,
        "modelversion": version,
        "datacontenttype": "application/json",
        "data": {
            "data": {**data, "drift": int(found["drift"]), "alarm": bool(alarm)},
            "meta": {**meta, "window": number, "rows": found["rows"], "correction": found["correction"]},
        },
    }


def _by_name(features: list[dict[str, Any]], key: str) -> dict[str, float]:
    return {feature["name"]: feature["p_value" if key == "p_val" else key] for feature in features}
