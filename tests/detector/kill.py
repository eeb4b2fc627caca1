"""A detector that is killed again and again while posts go on, and what it has counted in the end."""

from __future__ import annotations

import http.client
import json
import random
import sqlite3
import threading
import time
import urllib.error
from dataclasses import dataclass
from pathlib import Path

from tests.detector.world import BATCH, Detector, add_bundle, detector, people, prediction, together, truth
from tests.server.world import call

ROWS = 3
# No window is forgotten, so that their rows can be added up.
FLAGS = ("--export-seconds", "0.1", "--history", "1000000")


@dataclass
class Outcome:
    """What was sent and what was found.

    Args:
        kills: SIGKILLs.
        acknowledged: predictions that were answered 200, each once, however often they were sent.
        sent_again: posts without an answer.
        rows, labels: counted by the detector.
        windows: rows in its windows, all versions together.
        duplicates: events it saw again.
        refused: what it refused.
    """

    kills: int
    acknowledged: int
    sent_again: int
    rows: int
    labels: int
    windows: int
    duplicates: int
    refused: dict[str, int]

    @property
    def problems(self) -> list[str]:
        """Empty when nothing was lost and nothing was counted twice."""
        found = []
        if self.rows != self.acknowledged * ROWS:
            found.append(f"{self.acknowledged * ROWS} rows acknowledged, {self.rows} counted")
        if self.windows != self.rows:
            found.append(f"{self.rows} rows counted, {self.windows} in windows")
        if self.labels != self.rows:
            found.append(f"{self.rows} truths acknowledged, {self.labels} joined")
        if self.refused:
            found.append(f"refused: {self.refused}")
        return found


class _Stream:
    """Posts predictions with their truths one after the other; each until it is acknowledged, with the same ids."""

    def __init__(self, digest: str, seed: int) -> None:
        self.url, self.acknowledged, self.sent_again = "", 0, 0
        self._digest, self._seed = digest, seed
        self._random = random.Random(seed)  # noqa: S311  # the same run again
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Ends when the post under way is acknowledged."""
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            several = self._random.randint(1, 20)
            asked = {f"{self._seed}-{one}": people(ROWS, seed=one % 50) for one in range(number, number + several)}
            number += several
            truths = [truth(puid, 1, 0, 1) for puid in asked]
            if self._random.random() < 0.5:
                events = [event for puid, rows in asked.items() for event in prediction(self._digest, rows, puid)]
                events += truths
                self._random.shuffle(events)
                self._send(json.dumps(events).encode(), {"content_type": BATCH})
            else:
                posts = [together(self._digest, asked), (json.dumps(truths).encode(), {"content_type": BATCH})]
                self._random.shuffle(posts)
                for body, headers in posts:
                    self._send(body, headers)
            self.acknowledged += several

    def _send(self, body: bytes, headers: dict[str, str]) -> None:
        while True:
            try:
                if call(self.url, body, **headers).status == 200:
                    return
            except (OSError, http.client.HTTPException, urllib.error.URLError, ValueError):
                time.sleep(0.02)
            self.sent_again += 1


def kill_again_and_again(directory: Path, kills: int, seed: int = 0, pause: float = 0.3) -> Outcome:
    """Runs it.

    Args:
        directory: for store and database.
        kills: how many.
        seed: of the moments.
        pause: seconds between readiness and a kill, at most.
    """
    digest = add_bundle(directory / "store", window=50, minimum=10)
    moments = random.Random(seed)  # noqa: S311  # the same run again
    streams = [_Stream(digest, one) for one in range(3)]
    try:
        for _ in range(kills):
            with detector(directory / "store", directory / "drift.db", *FLAGS) as process:
                _point(streams, process)
                time.sleep(moments.uniform(0, pause))
                process.kill()
        with detector(directory / "store", directory / "drift.db", *FLAGS) as process:
            _point(streams, process)
            for stream in streams:
                stream.stop()
            return _outcome(process, streams, kills)
    finally:
        for stream in streams:
            stream.stop()


def _point(streams: list[_Stream], process: Detector) -> None:
    for stream in streams:
        stream.url = process.url


def _outcome(process: Detector, streams: list[_Stream], kills: int) -> Outcome:
    found = process.settled()
    models = found["models"]
    return Outcome(
        kills=kills,
        acknowledged=sum(stream.acknowledged for stream in streams),
        sent_again=sum(stream.sent_again for stream in streams),
        rows=sum(one["rows"] for one in models),
        labels=found["feedback"]["joined"],
        windows=_rows_in_windows(process),
        duplicates=found["events"]["duplicates"],
        refused=found["events"]["refused"],
    )


def _rows_in_windows(process: Detector) -> int:
    """Of closed and open windows, from the database: the report shows the newest hundred."""
    with sqlite3.connect(process.database) as connection:
        closed = connection.execute("SELECT coalesce(sum(rows), 0) FROM windows").fetchone()[0]
        opened = connection.execute("SELECT coalesce(sum(total - first), 0) FROM versions").fetchone()[0]
    return int(closed + opened)
