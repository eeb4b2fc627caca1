"""`lifeboat status` and `stop`: what serves, and what should."""

from __future__ import annotations

import argparse
import socket
from pathlib import Path

from rich.console import Console

from components.core.errors import DeployError
from components.core.settings import Settings
from components.core.usecase import load_usecase
from pipelines.detector import find_detector
from serving.control import find_supervisor


def status(options: argparse.Namespace, settings: Settings) -> int:  # noqa: ARG001  # every verb's signature
    """Prints each local model server, and where the state is."""
    console = Console(highlight=False)
    # Lines and no table: a table folds the endpoint in a narrow terminal, and nobody can copy it then.
    lines = [f"{name:20} {_state(settings.serving_state(name))}" for name in _served(settings)]
    nothing = "Nothing was ever served from here. Start with: lifeboat run"
    console.print("\n".join(lines) or nothing, markup=False, soft_wrap=True)
    watching = f"at {settings.events_url}" if find_detector(settings).is_running() else "stopped"
    console.print(f"{'drift detector':20} {watching}", soft_wrap=True)
    console.print(f"state {settings.home_path}\nregistry {settings.shown_tracking}", soft_wrap=True)
    return 0


def _state(folder: Path) -> str:
    control = find_supervisor(folder)
    if control is None:
        return "stopped"
    with control:
        found = control.status()
    serving = found.serving
    if serving is None:
        return f"nothing promoted at {found.url}"
    pids = ", ".join(map(str, serving.pids))
    return (
        f"version {serving.version} (bundle {serving.digest[:12]}) at {found.url}, "
        f"processes {pids}, restarts {serving.restarts}"
    )


def stop(options: argparse.Namespace, settings: Settings) -> int:
    """Drains and ends the local model servers; without --usecase the drift detector as well, which watches them all."""
    names = [load_usecase(options.usecase).name] if options.usecase else _served(settings)
    ended = 0
    for name in names:
        control = find_supervisor(settings.serving_state(name))
        if control is not None:
            with control:
                control.stop()
            print(f"stopped {name}")
            ended += 1
    if not options.usecase and find_detector(settings).stop():
        print("stopped the drift detector")
        ended += 1
    if not ended:
        print("nothing to stop")
    return 0


def ensure_champion_serves(name: str, settings: Settings, console: Console) -> str | None:
    """The URL where the champion serves, started if nothing serves; None where there is no champion."""
    control = find_supervisor(settings.serving_state(name))
    if control is not None:
        with control:
            found = control.status()
        if found.serving is not None:
            console.print(f"The champion, {name} version {found.serving.version}, keeps serving.")
            return found.url
    from components.core.registry import Registry
    from components.deploy import step
    from components.deploy.targets import make_target

    console.print("Nothing serves yet.")
    shipped = step.serve_champion(name, Registry(settings), make_target("local", settings))
    if shipped is None:
        console.print("There is no champion to serve.")
        return None
    return shipped.url


def check_ports(name: str, settings: Settings) -> None:
    """Refuses a port that someone else listens on, unless our own supervisor or detector holds it already.

    Raises:
        DeployError: naming the port and the flag that chooses another.
    """
    control = find_supervisor(settings.serving_state(name))
    if control is None:
        _refuse_taken(settings.host, {"--port": settings.port, "--metrics-port": settings.metrics_port})
    else:
        control.close()
    if settings.drift_python and not find_detector(settings).is_running():
        _refuse_taken(settings.host, {"--detector-port": settings.detector_port})


def _refuse_taken(host: str, ports: dict[str, int]) -> None:
    for flag, port in ports.items():
        with socket.socket() as probe:
            # As it will be bound: a port whose last connections are still closing is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                reason = f"{host}:{port} cannot be listened on: {error.strerror}"
                raise DeployError(f"{reason}; choose another port with {flag}") from error


def _served(settings: Settings) -> list[str]:
    folder = settings.home_path / "serving"
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
