"""Steady clients that note every answer: the witness of switches and ends."""

from __future__ import annotations

import http.client
import json
import threading
from types import TracebackType

from tests.server.world import ROW_VALUES, ndarray

BODY = json.dumps(ndarray(ROW_VALUES))


class Load:
    """Clients that each send one request after the other, as their connection allows.

    Where an answer says that its connection closes, the next request opens another. Whatever is not
    answered 200 is a failure. `versions` holds the model versions seen and `pairs` those with their
    probability.
    """

    def __init__(self, port: int, clients: int = 4) -> None:
        self.answered, self.failures = 0, list[str]()
        self.pairs: set[tuple[str, float]] = set()
        self._port, self._stop, self._ending = port, threading.Event(), False
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    @property
    def versions(self) -> set[str]:
        return {version for version, _ in self.pairs}

    def expect_end(self) -> None:
        """From now on a refused new connection means that the server has ended, not that it failed."""
        self._ending = True

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
            try:
                connection.connect()
            except OSError as error:
                if not self._ending:
                    self.failures.append(f"cannot connect: {error!r}")
                return
            with_errors = self._use(connection)
            connection.close()
            if with_errors:
                return

    def _use(self, connection: http.client.HTTPConnection) -> bool:
        """Sends until the server says that it closes; tells whether to give up."""
        while not self._stop.is_set():
            try:
                connection.request("POST", "/predict", BODY, {"content-type": "application/json"})
                answer = connection.getresponse()
                document = json.loads(answer.read())
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"no answer: {error!r}")
                return True
            if answer.status != 200:
                self.failures.append(f"{answer.status}: {document}")
                return True
            self.answered += 1
            self.pairs.add((document["meta"]["tags"]["model_version"], document["data"]["ndarray"][0][1]))
            if answer.headers.get("connection") == "close":
                return False
        return False
