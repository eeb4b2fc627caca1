"""What serves in a home, asked and not assumed, in lines for people."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec

from lifeboat.config.errors import DeployError, LifeboatError
from lifeboat.config.home_ports import HomePorts
from lifeboat.config.settings import Settings
from lifeboat.deploy.deployed import read_deployed
from lifeboat.registry.sqlite_registry import read_champion
from lifeboat.services.daemons import unreadiness
from lifeboat.services.detector import detector_service
from lifeboat.services.explainer import explainer_service
from lifeboat.services.home_page import home_page_service
from lifeboat.services.keeper.daemon import KeeperDaemon, find_keeper
from lifeboat.services.keeper.services import services
from lifeboat.services.listening import ListeningService, served
from lifeboat.supervisor.control import LOG_FILE, Status, find_supervisor
from lifeboat.system.addresses import server_of

P = ParamSpec("P")

# What is well answers within milliseconds, but for a machine whose cores are all taken; nobody waits long for the rest.
PROBE_SECONDS = 2.0
SUPERVISOR_SECONDS = 5.0


def describe_home(settings: Settings) -> dict[str, list[str]]:
    """Lines by service: of each use case that was ever served, of the home's services, and of the keeper where anything
    runs; the first says how it is.

    Raises:
        StorageError: the home's file of ports cannot be read.
    """
    with ThreadPoolExecutor() as pool:
        # All at once: those that hang cost their time-out only once.
        waiting = {name: pool.submit(_told, _describe_server, settings, name) for name in served(settings)}
        waiting["drift detector"] = pool.submit(_told, _describe_service, settings, detector_service(settings), "/")
        if settings.explainer:
            waiting["explainer"] = pool.submit(_told, _describe_service, settings, explainer_service(settings), "")
        if settings.ui:
            waiting["home page"] = pool.submit(_told, _describe_service, settings, home_page_service(settings), "/")
        lines = {name: found.result() for name, found in waiting.items()}
    keeper = find_keeper(settings)
    runs = keeper.is_running()
    if runs or any(service.is_running() for service in services(settings)):
        lines["keeper"] = _told(_describe_keeper, keeper, runs)
    return lines


def _told(describe: Callable[P, list[str]], *arguments: P.args, **named: P.kwargs) -> list[str]:
    """What is said of a service; where something of it cannot be read, that, and the others are still told."""
    try:
        return describe(*arguments, **named)
    except LifeboatError as error:
        return [f"cannot be told: {error}"]
    except OSError as error:
        return [f"cannot be told: {error.filename}: {error.strerror}"]


def _describe_server(settings: Settings, name: str) -> list[str]:
    home, log = HomePorts(settings), settings.serving_state(name) / LOG_FILE
    try:
        found = server_status(settings, name)
    except DeployError as error:
        return [f"not answering: {error}; log {log}"]
    lines = [_stopped(settings, home, name) if found is None else _running(found, log)]
    version = f"version {found.serving.version}" if found and found.serving else None
    if (champion := _champion(settings, name)) not in (None, version):
        lines.append(f"the champion in the registry is {champion}")
    if found and settings.drift_python and found.events_url not in (None, home.events_url):
        lines.append(
            f"its events go to {found.events_url or 'nobody'} and not to the detector: lifeboat run mends that"
        )
    return [*lines, *home.explain(server_of(name))]


def server_status(settings: Settings, name: str) -> Status | None:
    """What the supervisor of a use case runs; None where none runs.

    Raises:
        DeployError: it does not answer.
    """
    control = find_supervisor(settings.serving_state(name))
    if control is None:
        return None
    with control:
        return control.status(SUPERVISOR_SECONDS)


def _running(found: Status, log: Path) -> str:
    serving = found.serving
    if serving is None:
        return f"nothing promoted at {found.url}"
    trouble = unreadiness(f"{found.url}/ready", PROBE_SECONDS)
    state = f"but {trouble}; log {log}" if trouble else "ready"
    rpc = f", gRPC {found.grpc_address}" if found.grpc_address else ""
    return (
        f"version {serving.version} (bundle {serving.digest[:12]}) at {found.url}, {state}, "
        f"process {serving.pid or 'none at present'}, restarts {serving.restarts}{rpc}"
    )


def _stopped(settings: Settings, home: HomePorts, name: str) -> str:
    state = settings.serving_state(name)
    found = read_deployed(state)
    if found is None:
        return f"stopped; its address is {home.server_url(name)}"
    ended = "ended by itself" if found.wanted else "stopped"
    return f"{ended}; lifeboat serve brings version {found.version} back at {home.server_url(name)}"


def _champion(settings: Settings, name: str) -> str | None:
    try:
        found = read_champion(settings.tracking, name)
    except sqlite3.Error as error:
        return f"unknown: {error}"
    return found and f"version {found}"


def _describe_keeper(keeper: KeeperDaemon, runs: bool) -> list[str]:
    found = keeper.state() if runs else None
    if not runs:
        return ["stopped: what ends by itself stays so; lifeboat serve --detach brings back and keeps"]
    if found is None:
        return ["starting"]
    where = "lifeboat serve" if found.foreground else "in the background"
    restarts = ", ".join(f"{name} {count}" for name, count in found.restarts.items()) or "none"
    troubles = [f"{name} cannot be started: {why}" for name, why in found.troubles.items()]
    return [f"process {found.pid}, {where}, restarts: {restarts}", *troubles]


def _describe_service(settings: Settings, service: ListeningService, path: str) -> list[str]:
    home, daemon = HomePorts(settings), service.find()
    if not daemon.is_running():
        return ["ended by itself; lifeboat serve brings it back" if daemon.is_expected else "stopped"]
    trouble = unreadiness(daemon.ready_url, PROBE_SECONDS)
    state = f"but {trouble}; process {daemon.pid or 'unknown'}, log {daemon.log}" if trouble else "ready"
    return [f"at {home.url(service.name)}{path}, {state}", *home.explain(service.name)]
