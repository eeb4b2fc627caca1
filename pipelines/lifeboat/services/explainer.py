"""The explainer of a home, as a daemon: one for all its use cases, whose servers are told where it is."""

from __future__ import annotations

import sys

from lifeboat.config.home_ports import HomePorts, Say
from lifeboat.config.settings import Settings
from lifeboat.services.listening import ListeningService, tell_servers
from lifeboat.system.addresses import EXPLAINER

PREFIX = "LIFEBOAT_EXPLAINER_"


def explainer_service(settings: Settings) -> ListeningService:
    """That of a home, running or not."""
    return ListeningService(settings, EXPLAINER, "explainer")


def explainer_problems(settings: Settings) -> list[str]:
    """Why the explainer cannot have its port: sentences, none where it can, or where there is no explainer.

    Raises:
        SettingsError: the host is no address of this machine.
        StorageError: the home's file of ports cannot be read.
    """
    return explainer_service(settings).problems() if settings.explainer else []


def ensure_explainer(settings: Settings, say: Say = print) -> None:
    """Starts the explainer unless it runs or there is to be none, and lets every server of the home ask it.

    It runs with this interpreter: it needs ONNX Runtime and Arrow, which the pipeline has.

    Args:
        settings: home, port, and the store it takes bundles from.
        say: told where a port that was kept is somebody else's by now, and which servers follow.

    Raises:
        DeployError: it cannot be started.
        StorageError: the home's file of ports cannot be read or written.
    """
    if not settings.explainer:
        return
    service = explainer_service(settings)
    with service.starting():
        cache = {"cache": str(settings.home_path / "explainer" / "bundles")}
        service.start([sys.executable, "-m", "lifeboat.explainer"], PREFIX, cache, say)
    tell_servers(settings, "explainer_url", HomePorts(settings).explainer_url, say)
