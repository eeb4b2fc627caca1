"""The world's traffic: predictions at a steady rate, and the truth of each one a while later."""

from __future__ import annotations

import http.client
import json
import queue
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from lifeboat.config.errors import DeployError
from lifeboat.demo.simulation import Case
from lifeboat.deploy.probe import read_answers
from lifeboat.tasks.decision import Decision
from lifeboat.tasks.task import Task

HEADERS = {"Content-Type": "application/json"}
SECONDS = 10.0


@dataclass(frozen=True)
class AnsweredRequest:
    """What became of one request.

    Args:
        time: when it was sent, in seconds since 1970.
        seconds: until it was answered.
        version: of the model that answered; empty when it failed.
        right: whether the truth is what the answer says, by this version's decision.
        error: why it failed, or empty.
    """

    time: float
    seconds: float
    version: str
    right: bool = False
    error: str = ""


@dataclass
class Traffic:
    """One client that asks without pause, in a thread of its own.

    Args:
        url: of the model server.
        rate: requests a second.
        truth_after: seconds after which the truth of a prediction is sent.
        answers: every one so far; read it at any time, it only grows.
    """

    url: str
    rate: float
    truth_after: float = 1.0
    answers: list[AnsweredRequest] = field(default_factory=list)
    truths_failed: int = 0
    _pending: deque[tuple[float, str, str | float]] = field(default_factory=deque, init=False)
    _readings: dict[str, tuple[Task[Any, Any], Decision]] = field(default_factory=dict, init=False)
    _failure: queue.SimpleQueue[BaseException] = field(default_factory=queue.SimpleQueue, init=False)
    _ended: threading.Event = field(default_factory=threading.Event, init=False)

    def begin(self, cases: Iterator[Case], *, truth: bool) -> None:
        """Starts to send these cases, with their truth or without."""
        self.change(cases, truth=truth)
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
        self._thread.start()

    def change(self, cases: Iterator[Case], *, truth: bool) -> None:
        """From the next request on it sends these."""
        self._cases, self._with_truth = cases, truth

    def check(self) -> None:
        """Raises what ended the thread, if something did."""
        if not self._failure.empty():
            raise self._failure.get()

    def end(self) -> None:
        """Stops after the request at hand."""
        self._ended.set()
        self._thread.join(2 * SECONDS)

    def _run(self) -> None:
        try:
            self._send_all()
        except BaseException as error:  # the main thread raises it: a thread's own traceback nobody reads
            self._failure.put(error)

    def _send_all(self) -> None:
        address = urlsplit(self.url).netloc
        connection = http.client.HTTPConnection(address, timeout=SECONDS)
        due = time.monotonic()
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            due += 1 / self.rate
            self._predict(connection, next(self._cases))
            self._tell_truths(connection)
        connection.close()

    def _predict(self, connection: http.client.HTTPConnection, case: Case) -> None:
        now, start = time.time(), time.perf_counter()
        status, document = _post(connection, "/api/v1.0/predictions", case.request)
        seconds = time.perf_counter() - start
        if status != 200:
            self.answers.append(AnsweredRequest(now, seconds, "", error=f"{status}: {document}"))
            return
        meta, answer = document["meta"], np.asarray(document["data"]["ndarray"], np.float32)
        version = meta["tags"]["model_version"]
        task, decision = self._reading(connection, version)
        right = task.score(np.asarray([case.truth]), answer, decision).right[0]
        self.answers.append(AnsweredRequest(now, seconds, version, bool(right)))
        if self._with_truth:
            self._pending.append((time.monotonic() + self.truth_after, meta["puid"], case.label))

    def _reading(self, connection: http.client.HTTPConnection, version: str) -> tuple[Task[Any, Any], Decision]:
        """What this version's answers are and how it decides, as its server says."""
        if version not in self._readings:
            status, document = _ask(connection, "GET", "/api/v1.0/metadata")
            if status != 200:
                raise DeployError(f"{self.url} does not say what it serves: {status}: {document}")
            reading = read_answers(document)
            if document["versions"] != [version]:
                return reading  # another version answers by now, and this one no more
            self._readings[version] = reading
        return self._readings[version]

    def _tell_truths(self, connection: http.client.HTTPConnection) -> None:
        while self._pending and self._pending[0][0] <= time.monotonic():
            _, puid, label = self._pending.popleft()
            feedback = {"response": {"meta": {"puid": puid}}, "truth": {"data": {"ndarray": [[label]]}}}
            status, _ = _post(connection, "/api/v1.0/feedback", json.dumps(feedback).encode())
            self.truths_failed += status != 200


def _post(connection: http.client.HTTPConnection, path: str, body: bytes) -> tuple[int, Any]:
    return _ask(connection, "POST", path, body)


def _ask(connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
    """Status and answer; status 0 and a reason when there was none."""
    try:
        connection.request(method, path, body, HEADERS)
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return 0, repr(error)
    return answer.status, json.loads(content)
