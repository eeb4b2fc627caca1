"""The drift detector of a home, as a daemon: one for all its use cases, whose servers are told where it is."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import ExitStack

from lifeboat.config.errors import DeployError, PortError
from lifeboat.config.home_ports import HomePorts, Say
from lifeboat.config.settings import Settings, inherited
from lifeboat.data.labelled.sources import NOBODY
from lifeboat.http.sockets import bind, listen
from lifeboat.services.daemons import Daemon, http_status
from lifeboat.supervisor.control import find_supervisor
from lifeboat.system.addresses import DETECTOR
from lifeboat.system.files import holding_lock

PREFIX = "LIFEBOAT_DRIFT_"
# How often another program is faster at a port that was free a moment ago.
ATTEMPTS = 5


def find_detector(settings: Settings) -> Daemon:
    """The detector of a home, running or not, where it is or is going to be.

    Raises:
        StorageError: the home's file of ports cannot be read.
    """
    return detector_daemon(settings, f"{HomePorts(settings).detector_url}/ready")


def detector_daemon(settings: Settings, ready_url: str = "") -> Daemon:
    """The detector of a home, also where it cannot be told at which address it is."""
    return Daemon("drift detector", settings.home_path / "detector", ready_url)


def ensure_detector(settings: Settings, chosen: Mapping[str, str] | None = None, say: Say = print) -> str:
    """Starts the detector unless it runs, and lets every server of the home send its events there.

    Args:
        settings: home, port, interpreter, and the store it takes bundles from and puts labelled rows into.
        chosen: further settings of the detector by name, such as {"export_seconds": "1"}.
        say: told where a port that was kept is somebody else's by now, and which servers follow.

    Returns:
        The URL of its page; empty where the detector's environment was not made.

    Raises:
        DeployError: it cannot be started.
        StorageError: the home's file of ports cannot be read or written.
    """
    if not settings.drift_python:
        return ""
    # One at a time: two runs of a home may end at the same time.
    with holding_lock(settings.home_path / "detector" / "start.lock"), ExitStack() as stack:
        if refusals := detector_problems(settings):
            raise DeployError(refusals[0])
        if _is_outdated(settings):
            find_detector(settings).stop()
            say("the drift detector is started anew: it was started by an earlier edition")
        running = find_detector(settings).is_running()
        listening = () if running else (stack.enter_context(_listen(settings, say)),)
        daemon = find_detector(settings)
        environment = _environment(settings, daemon, listening, chosen or {})
        descriptors = [one.fileno() for one in listening]
        daemon.ensure([settings.drift_python, "-m", "lifeboat.detector"], environment, descriptors=descriptors)
    home = HomePorts(settings)
    _redirect_events(settings, home.events_url, say)
    return f"{home.detector_url}/"


def detector_problems(settings: Settings) -> list[str]:
    """Why the detector cannot have its port: sentences, none where it can, or where there is no detector.

    Raises:
        SettingsError: the host is no address of this machine.
        StorageError: the home's file of ports cannot be read.
    """
    home = HomePorts(settings)
    if not settings.drift_python:
        return []
    if not find_detector(settings).is_running():
        return home.problems(DETECTOR)
    return home.mismatches(DETECTOR, home.kept(DETECTOR))


def served(settings: Settings) -> list[str]:
    """The use cases that were ever served from this home."""
    folder = settings.serving_state("")
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _listen(settings: Settings, say: Say) -> socket.socket:
    """A socket that listens on the detector's port, for the detector to inherit: nobody else can be faster."""
    home = HomePorts(settings)
    for _ in range(ATTEMPTS):
        port = home.reserve(DETECTOR, say)["detector_port"]
        try:
            bound = bind(settings.host, port)
        except PortError:
            continue
        listen(bound)
        return bound
    raise DeployError(f"each of {ATTEMPTS} ports that were free for the drift detector was somebody's a moment later")


def _is_outdated(settings: Settings) -> bool:
    """Whether a detector answers that does not know the home's path of events: it was started by an earlier edition."""
    # A path that it knows is refused to a GET, with 405.
    return find_detector(settings).is_running() and http_status(HomePorts(settings).events_url) == 404


def _redirect_events(settings: Settings, url: str, say: Say) -> None:
    """Lets the home's model servers send their events to the detector, wherever they were told that it is."""
    for name in served(settings):
        control = find_supervisor(settings.serving_state(name))
        if control is None:
            continue
        with control:
            told = control.status().events_url
            if told not in (url, None):
                control.send_events(url)
                say(f"the events of {name} go to {url} from now on")


def _environment(
    settings: Settings, daemon: Daemon, listening: tuple[socket.socket, ...], chosen: Mapping[str, str]
) -> dict[str, str]:
    values = {
        "host": settings.host,
        "events_path": HomePorts(settings).events_path,
        "descriptor": str(listening[0].fileno()) if listening else "0",
        "store": settings.bundle_store,
        "database": str(daemon.folder / "events.db"),
        "trusted_sources": ",".join(sorted(settings.trusted)) or NOBODY,
        "s3_endpoint": settings.s3_endpoint,
        "s3_access_key": settings.s3_access_key,
        "s3_secret_key": settings.s3_secret_key,
        "s3_region": settings.s3_region,
        **chosen,
    }
    return {**inherited(), **{PREFIX + name.upper(): value for name, value in values.items()}}
