"""A deploy step that Kubernetes ends, as at a time-out of its task, cleans up before it goes.

On Kubeflow it has about a second for that, whatever the pod's grace: Kubeflow's launcher, which started it, gets the
signal too and ends at once, and with it the container, so that its last words reach no log. Hence the order of a
rollback: the traffic first. The next rollout clears what is left.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

TERMINATED = 128 + signal.SIGTERM


@contextmanager
def exit_on_sigterm() -> Iterator[None]:
    """Within the block SIGTERM is a SystemExit, which every `finally` and every rollback sees.

    Only the main thread can have that; in another one nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(*_: object) -> NoReturn:
    raise SystemExit(TERMINATED)
