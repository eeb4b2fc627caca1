"""A tiny model's bundle with a reference, the detector as a process, and events as models send them."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lifeboat.model.bundle import GOLDEN, MODEL, REFERENCE, SCHEMA, write_bundle
from lifeboat.usecase.schema import Schema
from tests.server.world import ROOT, ROW, TINY, Answer, call, expected, graph

BATCH = "application/cloudevents-batch+json"
STRUCTURED = "application/cloudevents+json"
NAMES = [*TINY.names, "id"]
# A judge without Alibi Detect, for the tests that are about something else.
QUICK = "tests.detector.quick_drift_test"
RULE = {
    "window": 200, "minimum": 100, "seconds": 3600.0, "p_value": 0.05, "correction": "calibrated",
    "alarms": 2, "of": 3, "reference": 1000, "online": 0, "accuracy": 0.7,
}  # fmt: skip
_numbers = count(1)


def people(number: int, seed: int = 0, older: float = 0.0) -> list[dict[str, Any]]:
    """Rows for the tiny model."""
    random = np.random.default_rng(seed)
    ages = np.clip(random.normal(40 + older, 15, number), 0, 120).round(1)
    return [
        {
            "name": "Ann" if random.random() < 0.5 else "Bartholomew",
            "port": [None, "C", "Q"][random.integers(3)],
            "age": None if random.random() < 0.1 else float(age),
            "class": int(random.integers(1, 4)),
            "alone": bool(random.random() < 0.5),
        }
        for age in ages
    ]


def score(row: dict[str, Any]) -> float:
    """What the tiny model answers."""
    return expected(row["age"], port=row["port"])


def reference(number: int = 600) -> bytes:
    """The tiny model's reference with its scores."""
    rows = people(number, seed=99)
    columns: dict[str, Any] = {}
    for column in TINY.columns:
        values = [row[column.name] for row in rows]
        if column.is_number:
            columns[column.name] = pa.array([np.nan if v is None else float(v) for v in values], pa.float32())
        else:
            columns[column.name] = pa.array([v or "" for v in values], pa.string())
    columns["__score"] = pa.array([score(row) for row in rows], pa.float32())
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def add_bundle(store: Path, usecase: str = "tiny", schema: Schema = TINY, **rule: Any) -> str:
    """Puts a bundle into a store and gives its digest."""
    golden = [{"row": ROW, "probabilities": [1 - expected(22.5, port="C"), expected(22.5, port="C")]}]
    files = {
        MODEL: graph(), SCHEMA: schema.to_json().encode(), REFERENCE: reference(), GOLDEN: json.dumps(golden).encode(),
    }  # fmt: skip
    folder = store / "bundles" / usecase
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        made = Path(temporary) / "bundle"
        digest = write_bundle(made, files, {"usecase": usecase, "drift": RULE | rule})
        if not (folder / digest).exists():
            made.replace(folder / digest)
    return digest


@dataclass
class Detector:
    """A detector process and where it listens."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    database: Path
    token: str = ""

    @property
    def _header(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"} if self.token else {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, events: Sequence[dict[str, Any]]) -> Answer:
        """Sends a batch; it must be taken."""
        answer = call(self.url, json.dumps(list(events)).encode(), content_type=BATCH, **self._header)
        assert answer.status == 200, answer.body
        return answer

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = call(self.url + "/drift", **self._header).json
        return found

    def metrics(self) -> dict[str, float]:
        lines = call(self.url + "/metrics", **self._header).body.decode().splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[0] != "#"}

    def until(self, holds: Callable[[dict[str, Any]], Any], seconds: float = 60.0) -> dict[str, Any]:
        """The report as soon as something holds of it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = self.report()
            if holds(found):
                return found
            time.sleep(0.05)
        raise AssertionError(f"it does not come to hold: {found}\n{self.log.read_text()[-3000:]}")

    def settled(self) -> dict[str, Any]:
        """The report once nothing waits to be folded in, nor for a bundle."""
        return self.until(lambda found: not found["events"]["waiting"] and not found["events"]["held"])

    def counted(self, events: int) -> dict[str, Any]:
        """The report once so many events were folded in and none waits for its bundle."""
        return self.until(lambda found: found["events"]["accepted"] == events and not found["events"]["held"])

    def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()


def command(store: Path | str, database: Path, *flags: str) -> list[str]:
    """The detector's command line; a quick judge and a free port unless the flags say otherwise."""
    python = str(ROOT / ".venvs" / "drift" / "bin" / "python")
    own = ["--store", str(store), "--database", str(database), "--port", "0", "--judge", QUICK]
    return [python, "-m", "lifeboat.detector", *own, *flags]


@contextmanager
def detector(
    store: Path | str, database: Path, *flags: str, env: dict[str, str] | None = None, log: Path | None = None
) -> Iterator[Detector]:
    """Runs a detector on a free port, ready."""
    log = log or database.parent / f"log-{next(_numbers)}"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command(store, database, *flags), cwd=ROOT, stderr=stream, env={**os.environ, **(env or {})}
        )
    try:
        yield Detector(process, _port(process, log), log, database)
    finally:
        process.kill()
        process.wait()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_text().splitlines():
            if '"message": "ready"' in line and line.endswith("}"):
                return int(json.loads(line)["addresses"][0].rpartition(":")[2])
        time.sleep(0.02)
    raise AssertionError(f"the detector is not ready: {log.read_text()}")


def event(kind: str, puid: str, data: Any, **attributes: Any) -> dict[str, Any]:
    """An event as our model server sends it; `kind` is request, response or feedback."""
    name = "feedback" if kind == "feedback" else f"inference.{kind}"
    return {
        "specversion": "1.0", "id": str(uuid4()), "source": "lifeboat.test", "type": f"io.seldon.serving.{name}",
        "time": "2026-01-01T00:00:00+00:00" if attributes.pop("old", False) else None,
        "requestid": puid, "modelid": "tiny", "modelversion": "1",
        "datacontenttype": "application/json", "data": data, **attributes,
    }  # fmt: skip


def request_of(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A request in Seldon's protocol."""
    names = list(rows[0])
    return {"data": {"names": names, "ndarray": [[row[name] for name in names] for row in rows]}}


def response_of(rows: Sequence[dict[str, Any]], digest: str, puid: str, version: str = "1") -> dict[str, Any]:
    """Its answer."""
    scores = [score(row) for row in rows]
    tags = {"model_name": "tiny", "model_version": version, "bundle_digest": digest}
    data = {"names": ["died", "survived"], "ndarray": [[1 - value, value] for value in scores]}
    return {"data": data, "meta": {"puid": puid, "tags": tags}}


def prediction(
    digest: str, rows: Sequence[dict[str, Any]], puid: str | None = None, **attributes: Any
) -> list[dict[str, Any]]:
    """Request and response of one prediction."""
    puid = puid or str(uuid4())
    answer = response_of(rows, digest, puid, attributes.get("modelversion", "1"))
    return [event("request", puid, request_of(rows), **attributes), event("response", puid, answer, **attributes)]


def predictions(digest: str, rows: Sequence[dict[str, Any]], **attributes: Any) -> list[dict[str, Any]]:
    """One prediction for each row."""
    return [one for row in rows for one in prediction(digest, [row], **attributes)]


def together(
    digest: str, asked: Mapping[str, Sequence[dict[str, Any]]], version: str = "1", **changed: Any
) -> tuple[bytes, dict[str, str]]:
    """An event of many predictions, as our model server sends it: body and headers.

    Args:
        digest: of the bundle.
        asked: rows by request id.
        version: of the model.
        changed: members of the content, in place of the right ones.
    """
    rows = [row for given in asked.values() for row in given]
    columns = {name: [row.get(name) for row in rows] for name in NAMES if any(name in row for row in rows)}
    numbers = [number for row in rows for number in (1 - score(row), score(row))]
    content = {
        "model_name": "tiny", "model_version": version, "parameters": {"bundle_digest": digest},
        "predictions": {"id": list(asked), "time": [time.time()] * len(asked), "rows": list(map(len, asked.values()))},
        "inputs": [{"name": name, "shape": [len(rows), 1], "data": data} for name, data in columns.items()],
        "outputs": [{"name": "probabilities", "shape": [len(rows), 2], "data": numbers}],
        **changed,
    }  # fmt: skip
    head = {"specversion": "1.0", "id": str(uuid4()), "source": "lifeboat.test", "type": "io.lifeboat.predictions",
            "modelid": "tiny", "modelversion": version, "predictions": str(len(asked))}  # fmt: skip
    headers = {f"ce_{name}": value for name, value in head.items()}
    return json.dumps(content).encode(), {**headers, "content_type": "application/json"}


def truth(puid: str, *values: Any, **attributes: Any) -> dict[str, Any]:
    """A feedback by request id."""
    return event("feedback", puid, {"truth": {"data": {"ndarray": list(values)}}, "reward": 1.0}, **attributes)


def binary(entry: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    """Body and headers of an event as Seldon's executor sends it."""
    skipped = ("data", "datacontenttype", "specversion", "modelversion")
    headers = {f"ce_{name}": str(value) for name, value in entry.items() if name not in skipped and value is not None}
    return json.dumps(entry["data"]).encode(), headers
