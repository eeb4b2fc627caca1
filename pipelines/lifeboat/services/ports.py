"""The ports of a use case in its home, before a run: what stands in their way, and which ones they are."""

from __future__ import annotations

from lifeboat.config.errors import PortError
from lifeboat.config.home_ports import HomePorts, Ports
from lifeboat.config.settings import Settings
from lifeboat.services.detector import detector_problems, detector_service
from lifeboat.services.explainer import explainer_problems, explainer_service
from lifeboat.services.home_page import home_page_problems, home_page_service
from lifeboat.supervisor.control import find_supervisor
from lifeboat.system.addresses import DETECTOR, EXPLAINER, HOME_PAGE, base_url, find_holder, server_of


def port_problems(settings: Settings, usecase: str) -> list[str]:
    """Why a use case's server or a service of its home could not listen now: sentences with the remedy; keeps nothing.

    Args:
        settings: home, host and ports.
        usecase: its name.

    Raises:
        SettingsError: the host is no address of this machine.
        StorageError: the home's file of ports cannot be read.
    """
    of_home = (detector_problems, explainer_problems, home_page_problems)
    return [*_server_problems(settings, usecase), *(found for problems in of_home for found in problems(settings))]


def refuse_strangers(settings: Settings) -> None:
    """Refuses a chosen port that belongs to nothing of this home: known before any use case is loaded.

    Raises:
        PortError: names who has it.
        SettingsError: the host is no address of this machine.
    """
    if refusals := HomePorts(settings).strangers():
        raise PortError(refusals[0])


def reserve_ports(settings: Settings, usecase: str) -> list[str]:
    """Keeps the ports of a use case's server and of the home's services; gives a sentence for each that is no default.

    Raises:
        PortError: a port that the user chose is somebody's; names who.
        SettingsError: the host is no address of this machine.
        StorageError: the home's file of ports cannot be read or written.
    """
    if refusals := port_problems(settings, usecase):
        raise PortError(refusals[0])
    home, notes = HomePorts(settings), list[str]()
    if _listening(settings, usecase) is None:
        home.reserve(server_of(usecase), notes.append)
    if settings.drift_python and not detector_service(settings).find().is_running():
        home.reserve(DETECTOR, notes.append)
    if settings.explainer and not explainer_service(settings).find().is_running():
        home.reserve(EXPLAINER, notes.append)
    if settings.ui and not home_page_service(settings).find().is_running():
        home.reserve(HOME_PAGE, notes.append)
    names = (server_of(usecase), DETECTOR, EXPLAINER, HOME_PAGE)
    return notes or [sentence for name in names for sentence in home.explain(name)]


def listening_process(settings: Settings, service: str) -> int | None:
    """The process that listens on a port which the home keeps for a service, and is that service.

    Args:
        settings: of the home.
        service: `DETECTOR`, `EXPLAINER`, `HOME_PAGE` or a `server_of`.

    Raises:
        StorageError: the home's file of ports cannot be read.
    """
    for port in HomePorts(settings).kept(service).values():
        holder = find_holder(port)
        if holder is not None and holder.service == (service, settings.home_path):
            return holder.pid
    return None


def server_url(settings: Settings, usecase: str) -> str:
    """Where the model server of a use case is, or is going to be.

    Raises:
        StorageError: the home's file of ports cannot be read.
    """
    found = _listening(settings, usecase)
    return base_url(settings.host, found["port"]) if found else HomePorts(settings).server_url(usecase)


def _server_problems(settings: Settings, usecase: str) -> list[str]:
    home, service, found = HomePorts(settings), server_of(usecase), _listening(settings, usecase)
    return home.problems(service) if found is None else home.mismatches(service, found)


def _listening(settings: Settings, usecase: str) -> Ports | None:
    """The ports of its supervisor; None where none runs."""
    control = find_supervisor(settings.serving_state(usecase))
    if control is None:
        return None
    with control:
        return control.status().ports
