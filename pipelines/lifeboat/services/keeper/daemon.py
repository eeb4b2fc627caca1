"""The keeper of a home as a process: in the background, or what `lifeboat serve` is in the foreground."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lifeboat.config.errors import DeployError, LifeboatError, StorageError
from lifeboat.config.settings import Settings, inherited
from lifeboat.services.daemons import Daemon
from lifeboat.services.keeper.keeper import Keeper, Watched
from lifeboat.services.keeper.services import Say, services
from lifeboat.system.files import holding_lock, waiting_for, write_text

# A foreground keeper ends the servers, which drain first.
STOP_SECONDS = 120.0


@dataclass(frozen=True)
class KeeperState:
    """What a keeper says of itself.

    Args:
        pid: of its process.
        foreground: whether it is a `lifeboat serve` that ends what it keeps when it ends.
        restarts: of each service since it began.
        troubles: why a service cannot be started, by its name.
    """

    pid: int
    foreground: bool
    restarts: dict[str, int] = field(default_factory=dict)
    troubles: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kinds = {"pid": int, "foreground": bool, "restarts": dict, "troubles": dict}
        for name, kind in kinds.items():
            if not isinstance(found := getattr(self, name), kind):
                raise TypeError(f"its {name} is {json.dumps(found)}")


class KeeperDaemon(Daemon):
    """It is ready once it has said who it is."""

    @property
    def pid(self) -> int | None:
        """As it said itself, where the file of its process does not say."""
        return super().pid or (self.said.pid if self.said else None)

    @property
    def said(self) -> KeeperState | None:
        """Its state where that can be read."""
        try:
            return self.state()
        except StorageError:
            return None

    def leave(self) -> None:
        super().leave()
        self._state.unlink(missing_ok=True)

    @property
    def _state(self) -> Path:
        return self.folder / "state.json"

    def is_ready(self) -> bool:
        found = self.state()
        return found is not None and found.pid == self.pid and self.is_running()

    def state(self) -> KeeperState | None:
        """What the keeper said last, also one that was killed; None where none was since the last stop.

        Raises:
            StorageError: it cannot be read.
        """
        try:
            return KeeperState(**json.loads(self._state.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise StorageError(f"{self._state} cannot be read: {error}; lifeboat stop removes it") from error

    def say_state(self, state: KeeperState) -> None:
        """Keeps it; raises StorageError."""
        write_text(self._state, json.dumps(state.__dict__, indent=1) + "\n")


def find_keeper(settings: Settings) -> KeeperDaemon:
    """The keeper of a home, running or not."""
    return KeeperDaemon("keeper", settings.home_path / "keeper", "")


def ensure_keeper(settings: Settings) -> None:
    """Starts the keeper in the background unless one runs, there or in a terminal; what serves is kept from now on.

    Raises:
        DeployError: it cannot be started.
    """
    with holding_lock(_lock(settings)):
        environment = {**inherited(), **settings.environment()}
        find_keeper(settings).ensure([sys.executable, "-m", "lifeboat.services.keeper"], environment)


@contextmanager
def keeping_in_background(settings: Settings) -> Iterator[None]:
    """What the block starts is kept from then on; also where it fails or is interrupted after something has come up.

    Raises:
        DeployError: the keeper cannot be started.
    """
    before = _running(settings)
    try:
        yield
    except BaseException:
        if _running(settings) - before:
            ensure_keeper(settings)
        raise
    ensure_keeper(settings)


def _running(settings: Settings) -> set[str]:
    return {service.name for service in services(settings) if service.is_running()}


def stop_home(settings: Settings, say: Say = print) -> int:
    """Ends all that runs in a home and gives how much that was; nothing comes back before it is started again.

    Args:
        settings: of the home.
        say: told of each.

    Raises:
        LifeboatError: one of them does not end.
    """
    troubles = list[LifeboatError]()
    ended = _stop_keeper(settings, say, troubles) + _stop_services(settings, "", say, troubles)
    _raise_last(troubles, say)
    return ended


def _stop_keeper(settings: Settings, say: Say, troubles: list[LifeboatError]) -> bool:
    keeper = find_keeper(settings)
    foreground = keeper.said is not None and keeper.said.foreground
    try:
        ended = keeper.stop(STOP_SECONDS)
    except LifeboatError as error:  # nothing that is stopped after it comes back by it
        troubles.append(error)
        return False
    if ended:
        say("stopped lifeboat serve and what it kept" if foreground else "stopped the keeper")
    return ended


def stop_services(settings: Settings, usecase: str = "", say: Say = print) -> int:
    """Ends the model servers, then the detector, which takes their last events; or the one server of a use case.

    Raises:
        LifeboatError: one of them does not end; the others have ended.
    """
    troubles = list[LifeboatError]()
    ended = _stop_services(settings, usecase, say, troubles)
    _raise_last(troubles, say)
    return ended


def _stop_services(settings: Settings, usecase: str, say: Say, troubles: list[LifeboatError]) -> int:
    ended = 0
    for service in services(settings):
        try:
            if usecase in ("", service.name) and service.stop(say):
                say(f"stopped {service.name}")
                ended += 1
        except LifeboatError as error:
            troubles.append(error)
    return ended


def _raise_last(troubles: list[LifeboatError], say: Say) -> None:
    for trouble in troubles[:-1]:
        say(str(trouble))
    if troubles:
        raise troubles[-1]


def keep_in_background(settings: Settings, stopping: threading.Event, say: Callable[[str, str], None]) -> None:
    """What the process in the background does: it keeps what is wanted until there is nothing left of it."""
    daemon = find_keeper(settings)
    keeper = Keeper(settings, say, _recording(daemon, foreground=False))

    def is_needed() -> bool:
        if keeper.is_needed():
            return True
        try:
            # Who starts a service sees to its keeper afterwards, under this lock: one of the two sees the other.
            with holding_lock(_lock(settings), waiting_for(0.0, lambda: None, BlockingIOError)):
                if not keeper.is_needed():
                    daemon.leave()
                    return False
        except BlockingIOError:
            return True
        return True

    daemon.say_state(KeeperState(os.getpid(), foreground=False))
    keeper.watch(stopping, is_needed)


@contextmanager
def keeping_in_foreground(settings: Settings, say: Callable[[str, str], None]) -> Iterator[Keeper]:
    """This process as the home's keeper, in the place of one in the background.

    Raises:
        DeployError: another one is in the foreground of a terminal, or a service of the system.
    """
    daemon = find_keeper(settings)
    with ExitStack() as stack:
        with holding_lock(_lock(settings)):
            found = daemon.state() if daemon.is_running() else None
            if found is not None and found.foreground:
                raise DeployError(f"lifeboat serve runs for {settings.home_path} already, as process {found.pid}")
            if daemon.stop():
                say("lifeboat", "what runs in the background is watched from here, and ends with this, from now on")
            stack.enter_context(daemon.held())
            daemon.say_state(KeeperState(os.getpid(), foreground=True))
        yield Keeper(settings, say, _recording(daemon, foreground=True))


def _recording(daemon: KeeperDaemon, *, foreground: bool) -> Callable[[dict[str, Watched]], None]:
    def record(watched: dict[str, Watched]) -> None:
        restarts = {name: seen.restarts for name, seen in watched.items() if seen.restarts}
        troubles = {name: seen.trouble for name, seen in watched.items() if seen.trouble}
        daemon.say_state(KeeperState(os.getpid(), foreground, restarts, troubles))

    return record


def _lock(settings: Settings) -> Path:
    """Of who starts or replaces the keeper."""
    return settings.home_path / "keeper" / "start.lock"
