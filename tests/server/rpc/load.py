"""Steady clients of gRPC that note every answer: the witness of switches and ends, as `tests.server.load` of HTTP's."""

from __future__ import annotations

import threading
import time
from types import TracebackType

import grpc

from lifeboat.server.rpc.messages import SELDON, message
from tests.server.rpc.stub import Stub, seldon_message
from tests.server.world import ROW_VALUES, ndarray

REQUEST = seldon_message(ndarray(ROW_VALUES)).SerializeToString()


class RpcLoad:
    """Clients that each make one call after the other, each once: half of them over one channel,
    half over a new one each time.

    Whatever is not answered is a failure. `answered` counts the answers of each version.
    """

    def __init__(self, port: int, clients: int = 6) -> None:
        self.failures, self.answered = list[str](), dict[str, int]()
        self._port, self._stop, self._ending = port, threading.Event(), False
        self._threads = [threading.Thread(target=self._run, args=(number % 2 == 0,)) for number in range(clients)]

    def expect_end(self) -> None:
        """From now on a refused new connection means that the server has ended, not that it failed."""
        self._ending = True

    def __enter__(self) -> RpcLoad:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, anew: bool) -> None:
        while not self._stop.is_set():
            # Else the library has channels of one address share a connection.
            options = [("grpc.use_local_subchannel_pool", 1)]
            with grpc.insecure_channel(f"127.0.0.1:{self._port}", options=options) as channel:
                stub, again = Stub(channel, SELDON), True
                while again and not self._stop.is_set():
                    if not self._ask(stub):
                        return
                    again = not anew
            time.sleep(0.005)  # each connection keeps a port of the system for a minute

    def _ask(self, stub: Stub) -> bool:
        try:
            answer = stub("Predict", REQUEST)
        except grpc.RpcError as error:
            refused = error.code() == grpc.StatusCode.UNAVAILABLE and "connect" in error.details()
            if not (self._ending and refused):
                self.failures.append(f"{error.code()}: {error.details()}")
            return False
        version = answer.meta.tags["model_version"].string_value
        self.answered[version] = self.answered.get(version, 0) + 1
        return True


assert message("seldon.protos.SeldonMessage")  # compiled
