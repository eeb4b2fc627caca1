"""The keeper: starts again what ended by itself.

It owns no process: what a keeper that is killed had started goes on, and the next one finds it by its lock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from lifeboat.config.errors import LifeboatError
from lifeboat.config.settings import Settings
from lifeboat.services.keeper.services import KeptService, services
from lifeboat.system.background import reap_processes
from lifeboat.system.backoff import Backoff

PAUSE = 0.2
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 30.0
# As many starts at once as a machine with two cores can bear.
STARTS = 4


@dataclass
class Watched:
    """What the keeper knows of one service.

    Args:
        since: when it was found running, a monotonic time; None while it does not run.
        due: when it is to be started again; None while it runs.
        start: that start, once it is under way.
        restarts: that came off.
        trouble: why the last start failed; empty where it did not.
    """

    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_PAUSE, LONGEST_PAUSE))
    since: float | None = None
    due: float | None = None
    start: Future[None] | None = None
    restarts: int = 0
    trouble: str = ""


class Keeper:
    """Watches the services of a home.

    Args:
        settings: of the home; its services keep the ports that they have, whichever are chosen there.
        say: told whose end it was, by the service's name, and what happens.
        changed: told of restarts and troubles by the service's name, whenever they change.
    """

    def __init__(
        self, settings: Settings, say: Callable[[str, str], None], changed: Callable[[dict[str, Watched]], None]
    ) -> None:
        self._settings = settings.with_ports_of_its_own()
        self._say, self._changed = say, changed
        self._watched: dict[str, Watched] = {}
        # Why it cannot be told what should run, by the service's name.
        self._troubles: dict[str, str] = {}

    def watch(self, stopping: threading.Event, each: Callable[[], bool]) -> None:
        """Watches until it is told to stop, and lets what it starts then come up.

        Args:
            stopping: tells it to.
            each: called every time it has looked; False ends it as well.
        """
        with ThreadPoolExecutor(STARTS) as pool:
            while not stopping.is_set():
                self._look_around(pool)
                reap_processes()
                if not each():
                    return
                stopping.wait(PAUSE)

    def is_needed(self) -> bool:
        """Whether anything in the home should run, or cannot be told."""
        return any(map(_may_be_wanted, services(self._settings)))

    def _look_around(self, pool: ThreadPoolExecutor) -> None:
        for service in services(self._settings):
            before = self._troubles.pop(service.name, "")
            try:
                self._look(service, self._watched.setdefault(service.name, Watched()), pool)
            except (LifeboatError, OSError) as error:  # such as a record that cannot be read, until somebody mends it
                self._troubles[service.name] = str(error)
                if before != str(error):
                    self._say(service.name, f"it cannot be told whether it should run: {error}")

    def _look(self, service: KeptService, seen: Watched, pool: ThreadPoolExecutor) -> None:
        if seen.start is not None:
            if not seen.start.done():
                return
            self._ended(service, seen, seen.start)
            seen.start = seen.due = None
        now = time.monotonic()
        if service.is_running():
            seen.since, seen.due = seen.since or now, None
        elif not service.is_wanted():
            seen.since, seen.due, seen.trouble = None, None, ""
        elif seen.due is None:
            pause = seen.backoff.pause(now - seen.since if seen.since else 0.0)
            seen.since, seen.due = None, now + pause
            if not seen.trouble:
                self._say(service.name, f"it does not run and is started in {pause:g} s")
        elif now >= seen.due:
            seen.start = pool.submit(service.bring_up, partial(self._say, service.name))

    def _ended(self, service: KeptService, seen: Watched, start: Future[None]) -> None:
        """A start is over: counts it, or says why it failed."""
        before = seen.trouble
        try:
            start.result()
            seen.restarts, seen.trouble = seen.restarts + 1, ""
        except (LifeboatError, OSError) as error:
            seen.trouble = str(error)
            if seen.trouble != before:
                self._say(service.name, f"it cannot be started, which is tried again: {error}")
        self._changed(self._watched)


def _may_be_wanted(service: KeptService) -> bool:
    try:
        return service.is_wanted()
    except (LifeboatError, OSError):  # said where it is looked at
        return True
