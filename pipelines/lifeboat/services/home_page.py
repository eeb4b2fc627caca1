"""The home's page, as a daemon: one for all use cases of a home, which start it and keep it running."""

from __future__ import annotations

import sys

from lifeboat.config.home_ports import HomePorts, Say
from lifeboat.config.settings import Settings, inherited
from lifeboat.services.listening import ListeningService, Program
from lifeboat.system.addresses import HOME_PAGE

FOLDER = "ui"
# The socket that it inherits, by its number.
DESCRIPTOR = "--descriptor"


def home_page_service(settings: Settings) -> ListeningService:
    """That of a home, running or not."""
    return ListeningService(settings, HOME_PAGE, FOLDER)


def home_page_url(settings: Settings) -> str:
    """Where the page is, or is going to be.

    Raises:
        StorageError: the home's file of ports cannot be read.
    """
    return f"{HomePorts(settings).url(HOME_PAGE)}/"


def home_page_problems(settings: Settings) -> list[str]:
    """Why the page cannot have its port: sentences, none where it can, or where there is to be none.

    Raises:
        SettingsError: the host is no address of this machine.
        StorageError: the home's file of ports cannot be read.
    """
    return home_page_service(settings).problems() if settings.ui else []


def ensure_home_page(settings: Settings, say: Say = print) -> str:
    """Starts the page in the background unless it runs; gives its URL, or nothing where there is to be none.

    Args:
        settings: of the home.
        say: told where a port that was kept is somebody else's by now.

    Raises:
        DeployError: it cannot be started.
        StorageError: the home's file of ports cannot be read or written.
    """
    if not settings.ui:
        return ""
    service = home_page_service(settings)

    def program(descriptor: int) -> Program:
        environment = {**inherited(), **settings.environment()}
        return [sys.executable, "-m", "lifeboat.ui", DESCRIPTOR, str(descriptor)], environment

    with service.starting():
        service.launch(program, say)
    return home_page_url(settings)
