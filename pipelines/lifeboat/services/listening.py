"""A service of a home that listens on a port of the home's: the drift detector, the explainer, the home page."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from lifeboat.config.errors import DeployError, PortError
from lifeboat.config.home_access import service_access
from lifeboat.config.home_ports import HomePorts, Say, port_name
from lifeboat.config.settings import Settings, inherited
from lifeboat.http.sockets import bind, listen
from lifeboat.services.daemons import Daemon
from lifeboat.supervisor.control import find_supervisor
from lifeboat.system.files import holding_lock

# How often another program is faster at a port that was free a moment ago.
ATTEMPTS = 5
# A command and its whole environment.
Program = tuple[Sequence[str], Mapping[str, str]]


class ListeningService:
    """One of them, running or not.

    Args:
        settings: of the home.
        name: as the home's file of ports knows it, such as "the explainer".
        folder: of the home that holds its lock, its process id and its log.
    """

    def __init__(self, settings: Settings, name: str, folder: str) -> None:
        self._settings, self.name, self._folder = settings, name, settings.home_path / folder

    def daemon(self, ready_url: str = "") -> Daemon:
        """Its process, also where it cannot be told at which address it is."""
        return Daemon(self.name.removeprefix("the "), self._folder, ready_url)

    def find(self) -> Daemon:
        """Its process, running or not, where it is or is going to be; raises StorageError."""
        return self.daemon(f"{HomePorts(self._settings).url(self.name)}/ready")

    @contextmanager
    def starting(self) -> Iterator[None]:
        """One at a time, since two runs of a home may end at the same time; raises DeployError for its `problems`."""
        with holding_lock(self._folder / "start.lock"):
            if refusals := self.problems():
                raise DeployError(refusals[0])
            yield

    def problems(self) -> list[str]:
        """Why it cannot have its port: sentences, none where it can.

        Raises:
            SettingsError: the host is no address of this machine.
            StorageError: the home's file of ports cannot be read.
        """
        home = HomePorts(self._settings)
        if not self.find().is_running():
            return home.problems(self.name)
        return home.mismatches(self.name, home.kept(self.name))

    def start(self, command: Sequence[str], prefix: str, values: Mapping[str, str], say: Say) -> None:
        """Starts it unless it runs, and waits until it is ready; to be called while `starting` is held.

        Args:
            command: its program, which takes the number of the socket that it inherits as its setting `descriptor`.
            prefix: of its variables.
            values: its settings by name; the host's and the store's, which every such service has, are added.
            say: told where a port that was kept is somebody else's by now.

        Raises:
            DeployError: it cannot be started.
            StorageError: the home's file of ports cannot be read or written.
        """

        def program(descriptor: int) -> Program:
            every = {**self._common, "descriptor": str(descriptor), **values}
            return command, {**inherited(), **{prefix + name.upper(): value for name, value in every.items()}}

        self.launch(program, say)

    def launch(self, program: Callable[[int], Program], say: Say) -> None:
        """As `start`, of a program that takes the socket in a way of its own.

        Args:
            program: gives its command and whole environment for the number of the socket that it inherits.
            say: told where a port that was kept is somebody else's by now.
        """
        if (running := self.find()).is_running():
            running.ensure(*program(0))  # somebody may have started it a moment ago: it is waited for
            return
        with self.listen(say) as listening:
            descriptor = listening.fileno()
            self.find().ensure(*program(descriptor), descriptors=[descriptor])

    @property
    def _common(self) -> dict[str, str]:
        settings, host = self._settings, self._settings.host
        keys = ("s3_endpoint", "s3_access_key", "s3_secret_key", "s3_region")
        said = {"host": host, "store": settings.bundle_store, **{key: getattr(settings, key) for key in keys}}
        return {**said, **settings.of_services.observed, **service_access(settings, host)}

    def listen(self, say: Say) -> socket.socket:
        """A socket that listens on its port, for it to inherit: nobody else can be faster; raises as `start`."""
        home = HomePorts(self._settings)
        for _ in range(ATTEMPTS):
            port = home.reserve(self.name, say)[port_name(self.name)]
            try:
                bound = bind(home.host(self.name), port)
            except PortError:
                continue
            listen(bound)
            return bound
        raise DeployError(f"each of {ATTEMPTS} ports that were free for {self.name} was somebody's a moment later")


def served(settings: Settings) -> list[str]:
    """The use cases that were ever served from this home."""
    folder = settings.serving_state("")
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def tell_servers(settings: Settings, setting: str, url: str, say: Say) -> None:
    """Lets the home's model servers use a service wherever they were told that it is.

    Args:
        settings: of the home.
        setting: `events_url` or `explainer_url`.
        url: where it is.
        say: told of each server that follows.
    """
    for name in served(settings):
        control = find_supervisor(settings.serving_state(name))
        if control is None:
            continue
        with control:
            told = getattr(control.status(), setting)
            if told in (url, None):  # a server of an earlier edition cannot be told
                continue
            if setting == "events_url":
                control.send_events(url)
                say(f"the events of {name} go to {url} from now on")
            else:
                control.explain_at(url)
                say(f"{name} asks for reasons at {url} from now on")
