"""What is kept running in a home: the model servers of what is deployed, the explainer, the drift detector and the
home's page.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from lifeboat.config.errors import DeployError, PortError, StorageError
from lifeboat.config.settings import Settings
from lifeboat.deploy.deployed import Deployed, read_deployed, want
from lifeboat.deploy.local import LocalTarget
from lifeboat.registry.versions import Version
from lifeboat.services.daemons import ask_to_end
from lifeboat.services.detector import detector_service, ensure_detector
from lifeboat.services.explainer import ensure_explainer, explainer_service
from lifeboat.services.home_page import ensure_home_page, home_page_service
from lifeboat.services.listening import ListeningService, served
from lifeboat.services.ports import listening_process, port_problems
from lifeboat.supervisor.control import ANSWER_SECONDS, LOG_FILE, find_supervisor
from lifeboat.supervisor.state import LOCK_FILE
from lifeboat.system.addresses import server_of
from lifeboat.system.files import LOOK_SECONDS, is_locked

Say = Callable[[str], None]


class KeptService(Protocol):
    """Something that runs in the background, or should."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def log(self) -> Path:
        """Where its output goes."""

    def is_wanted(self) -> bool:
        """Whether it should run: it was started, and nobody stopped it."""

    def is_running(self) -> bool:
        """Whether it runs, by the lock that it holds."""

    def bring_up(self, say: Say) -> None:
        """Starts it if it is wanted and does not run; returns when it does its work.

        Raises:
            LifeboatError: it cannot be started.
        """

    def stop(self, say: Say) -> bool:
        """Ends it, drained, so that it is no longer wanted; False if it did not run.

        Raises:
            LifeboatError: it does not end.
        """


class ModelServer:
    """The model server of a use case, of which its supervisor is what runs.

    Args:
        settings: of its home.
        name: of the use case.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings, self.name = settings, name
        self._state = settings.serving_state(name)
        self._target = LocalTarget(settings)

    @property
    def log(self) -> Path:
        return self._state / LOG_FILE

    @property
    def deployed(self) -> Deployed | None:
        """What it serves, or should; raises StorageError."""
        return read_deployed(self._state)

    def is_wanted(self) -> bool:
        found = self.deployed
        return found is not None and found.wanted

    def is_running(self) -> bool:
        return is_locked(self._state / LOCK_FILE)

    def bring_up(self, say: Say) -> None:
        with self._target.turn(self.name, say):
            found = self.deployed
            if found is None or not found.wanted:
                return
            if not self.is_running():
                version = Version(found.name, found.version, found.digest, "")
                self._target.roll_out(found.open(), version, _already, say)
            elif refusals := port_problems(self._settings, self.name):
                raise PortError(refusals[0])

    def give_up(self) -> None:
        """From now on it is not wanted, unless it runs."""
        if not self.is_running():
            want(self._state, wanted=False)

    def stop(self, say: Say) -> bool:
        if not self._state.is_dir():
            return False
        try:
            with self._target.turn(self.name, say):
                want(self._state, wanted=False)  # first: a keeper that sees it gone does not start it again
                return self._end()
        except StorageError as error:  # a home that cannot be written, or a damaged record: it ends all the same
            if self._end():
                say(f"stopped {self.name}")
            raise StorageError(f"that {self.name} is stopped is not on record: {error}") from error

    def _end(self) -> bool:
        """Ends its supervisor, also one that cannot be asked to since its state is damaged."""
        try:
            control = find_supervisor(self._state)
        except DeployError:
            pid = listening_process(self._settings, server_of(self.name))
            if pid is None:
                raise
            ask_to_end(pid)
            _await_end(self)
            return True
        if control is None:
            return False
        with control:
            control.stop()
        return True


class HomeService(ABC):
    """A service that there is one of in a home.

    Args:
        settings: of the home.
        service: where it is.
    """

    def __init__(self, settings: Settings, service: ListeningService) -> None:
        self._settings, self.name, self._daemon = settings, service.name, service.daemon()

    @property
    def log(self) -> Path:
        return self._daemon.log

    def is_wanted(self) -> bool:
        if not self.is_chosen:
            return False
        # Also one that was not started yet, where who started the servers was interrupted.
        return self._daemon.is_expected or any(server.is_wanted() for server in model_servers(self._settings))

    @property
    @abstractmethod
    def is_chosen(self) -> bool:
        """Whether the home is to have it."""

    def is_running(self) -> bool:
        return self._daemon.is_running()

    @abstractmethod
    def bring_up(self, say: Say) -> None:
        """As `KeptService` says."""

    def stop(self, say: Say) -> bool:  # noqa: ARG002  # every service's signature
        if self.is_running() and self._daemon.pid is None:
            found = listening_process(self._settings, self.name)
            if found is not None:
                self._daemon.say_pid(found)
        return self._daemon.stop()


class DriftDetector(HomeService):
    """The drift detector of a home."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, detector_service(settings))

    @property
    def is_chosen(self) -> bool:
        return bool(self._settings.drift_python)

    def bring_up(self, say: Say) -> None:
        ensure_detector(self._settings, say=say)


class Explainer(HomeService):
    """The explainer of a home."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, explainer_service(settings))

    @property
    def is_chosen(self) -> bool:
        return self._settings.explainer

    def bring_up(self, say: Say) -> None:
        ensure_explainer(self._settings, say=say)


class HomePage(HomeService):
    """The page of a home."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, home_page_service(settings))

    @property
    def is_chosen(self) -> bool:
        return self._settings.ui

    def bring_up(self, say: Say) -> None:
        ensure_home_page(self._settings, say)


def services(settings: Settings) -> list[KeptService]:
    """Of a home, in the order in which they end: the detector last, for the servers' last events still reach it."""
    return [*model_servers(settings), *home_services(settings)]


def home_services(settings: Settings) -> list[HomeService]:
    """Those that there is one of in a home."""
    return [HomePage(settings), Explainer(settings), DriftDetector(settings)]


def model_servers(settings: Settings) -> list[ModelServer]:
    """Of what was ever served from a home."""
    return [ModelServer(settings, name) for name in served(settings)]


def deployed(settings: Settings, name: str = "") -> list[ModelServer]:
    """The model servers of what was deployed from this home, from now on wanted; no others, but those that run.

    Args:
        settings: of the home.
        name: of a use case: only its.

    Raises:
        DeployError: nothing was.
        StorageError: a record cannot be read or written.
    """
    every = [server for server in model_servers(settings) if server.deployed is not None]
    found = [server for server in every if name in ("", server.name)]
    if not found:
        what = f"{name} was never" if name else "nothing was ever"
        others = f"; deployed are: {', '.join(server.name for server in every)}" if every else ""
        flag = f" --usecase {name}" if name else ""
        place = f"{settings.home_path}{'' if settings.home_path.exists() else ', which does not exist'}"
        raise DeployError(f"{what} deployed from {place}{others}; start with: lifeboat run{flag}")
    for server in every:
        if server in found:
            want(settings.serving_state(server.name), wanted=True)
        else:
            server.give_up()
    return found


def _await_end(server: ModelServer) -> None:
    deadline = time.monotonic() + ANSWER_SECONDS
    while server.is_running():
        if time.monotonic() > deadline:
            raise DeployError(f"{server.name} did not end within {ANSWER_SECONDS:g} s; its log is {server.log}")
        time.sleep(LOOK_SECONDS)


def _already() -> None:
    """It is the champion, or was when it was deployed."""
