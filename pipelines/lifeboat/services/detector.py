"""The drift detector of a home, as a daemon: one for all its use cases, whose servers are told where it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lifeboat.config.home_ports import HomePorts, Say
from lifeboat.config.pseudonyms import ensure_key
from lifeboat.config.settings import Settings
from lifeboat.config.sources import NOBODY
from lifeboat.services.daemons import http_status
from lifeboat.services.listening import ListeningService, tell_servers
from lifeboat.system.addresses import DETECTOR

PREFIX = "LIFEBOAT_DRIFT_"


def detector_service(settings: Settings) -> ListeningService:
    """That of a home, running or not."""
    return ListeningService(settings, DETECTOR, "detector")


def database_path(settings: Settings) -> Path:
    """The detector's file, there or not."""
    return detector_service(settings).daemon().folder / "events.db"


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
    service = detector_service(settings)
    with service.starting():
        if _is_outdated(settings):
            service.find().stop()
            say("the drift detector is started anew: it was started by an earlier edition")
        if not (settings.personal_key or settings.personal_key_file):
            ensure_key(settings.personal_key_path)
        own = {
            "personal_key": settings.personal_key,
            "personal_key_file": str(settings.personal_key_path) if settings.personal_key_path.exists() else "",
            "events_path": HomePorts(settings).events_path,
            "database": str(database_path(settings)),
            "home_url": HomePorts(settings).home_page_url,
            "trusted_sources": ",".join(sorted(settings.trusted)) or NOBODY,
        }
        service.start([settings.drift_python, "-m", "lifeboat.detector"], PREFIX, {**own, **(chosen or {})}, say)
    home = HomePorts(settings)
    tell_servers(settings, "events_url", home.events_url, say)
    return f"{home.detector_url}/"


def detector_problems(settings: Settings) -> list[str]:
    """Why the detector cannot have its port: sentences, none where it can, or where there is no detector.

    Raises:
        SettingsError: the host is no address of this machine.
        StorageError: the home's file of ports cannot be read.
    """
    return detector_service(settings).problems() if settings.drift_python else []


def _is_outdated(settings: Settings) -> bool:
    """Whether a detector answers that does not know the home's path of events: it was started by an earlier edition."""
    # A path that it knows is refused to a GET, with 405.
    running = detector_service(settings).find().is_running()
    return running and http_status(HomePorts(settings).events_url) == 404
