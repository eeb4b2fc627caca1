"""`lifeboat status` and `stop`: what serves, and what should."""

from __future__ import annotations

import argparse

from rich.console import Console

from lifeboat.cli.known import name_of
from lifeboat.config.settings import Settings
from lifeboat.services.home import check_home
from lifeboat.services.keeper.daemon import stop_home, stop_services
from lifeboat.services.listening import served
from lifeboat.services.status import describe_home
from lifeboat.supervisor.control import find_supervisor


def status(options: argparse.Namespace, settings: Settings) -> int:  # noqa: ARG001  # every verb's signature
    """Prints how each local model server, the drift detector and the keeper are, and where the state is."""
    if not check_home(settings):
        print(f"There is no {settings.home_path} yet: the first run makes it")
    print("\n".join(home_lines(settings)))
    return 0


def home_lines(settings: Settings) -> list[str]:
    """What `status` prints: lines and no table, which would fold the endpoint in a narrow terminal."""
    lines = [] if served(settings) else ["Nothing was ever served from here. Start with: lifeboat run"]
    for name, (first, *more) in describe_home(settings).items():
        lines += [f"{name:20} {first}", *(f"{'':20} {line}" for line in more)]
    return [*lines, f"state {settings.home_path}", f"registry {settings.shown_tracking}"]


def stop(options: argparse.Namespace, settings: Settings) -> int:
    """Drains and ends what serves; without --usecase the drift detector and the keeper as well."""
    there = check_home(settings)
    name = name_of(options.usecase, settings) if options.usecase else ""
    ended = stop_services(settings, name) if name else stop_home(settings)
    if not ended:
        print("nothing to stop" if there else f"nothing to stop: there is no {settings.home_path}")
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
    from lifeboat.deploy import step
    from lifeboat.deploy.targets import make_target
    from lifeboat.registry.registry import Registry

    console.print("Nothing serves yet.")
    shipped = step.serve_champion(name, Registry(settings), make_target("local", settings))
    if shipped is None:
        console.print("There is no champion to serve.")
        return None
    return shipped.url
