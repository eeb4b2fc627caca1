"""The drift detector of this machine, as a daemon."""

from __future__ import annotations

from collections.abc import Mapping

from components.core.settings import Settings, inherited
from pipelines.daemons import Daemon

PREFIX = "LIFEBOAT_DRIFT_"


def find_detector(settings: Settings) -> Daemon:
    """The detector of these settings, running or not."""
    url = f"http://{settings.host}:{settings.detector_port}"
    return Daemon("drift detector", settings.home_path / "detector", f"{url}/ready")


def ensure_detector(settings: Settings, chosen: Mapping[str, str] | None = None) -> str:
    """Starts the detector unless it runs; gives the URL of its page, empty where its environment was not made.

    Args:
        settings: port, interpreter, and the store it takes bundles from and puts labelled rows into.
        chosen: further settings of the detector by name, such as {"export_seconds": "1"}.

    Raises:
        DeployError: it cannot be started.
    """
    if not settings.drift_python:
        return ""
    daemon = find_detector(settings)
    daemon.ensure([settings.drift_python, "-m", "serving.drift"], _environment(settings, daemon, chosen or {}))
    return settings.events_url


def _environment(settings: Settings, daemon: Daemon, chosen: Mapping[str, str]) -> dict[str, str]:
    values = {
        "host": settings.host,
        "port": str(settings.detector_port),
        "store": settings.bundle_store,
        "database": str(daemon.folder / "events.db"),
        "s3_endpoint": settings.s3_endpoint,
        "s3_access_key": settings.s3_access_key,
        "s3_secret_key": settings.s3_secret_key,
        "s3_region": settings.s3_region,
        **chosen,
    }
    return {**inherited(), **{PREFIX + name.upper(): value for name, value in values.items()}}
