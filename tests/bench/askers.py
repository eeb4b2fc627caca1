"""Clients that ask for explanations until they are told to end: `python -m tests.bench.askers PORT CLIENTS < body`.

A program of its own: a thread beside the load's generator would take its interpreter for milliseconds. It says `ready`
after each client's first answer.
"""

from __future__ import annotations

import http.client
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor


def main() -> None:
    """Asks until SIGTERM."""
    port, clients, body, over = int(sys.argv[1]), int(sys.argv[2]), sys.stdin.buffer.read(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    begun = threading.Barrier(clients + 1)

    def ask(_: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        is_first = True
        while not over.is_set():
            connection.request("POST", "/explain", body, {"content-type": "application/json"})
            answer = connection.getresponse()
            said = answer.read()
            assert answer.status == 200, said
            if is_first:
                begun.wait()
            is_first = False

    with ThreadPoolExecutor(clients) as pool:
        asked = [pool.submit(ask, place) for place in range(clients)]
        begun.wait()
        print("ready", flush=True)
        for one in asked:
            one.result()


if __name__ == "__main__":
    main()
