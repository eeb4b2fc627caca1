"""`lifeboat serve`: what is deployed comes back, and is kept, without a training."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial

from lifeboat.cli.known import name_of
from lifeboat.cli.serving import home_lines
from lifeboat.config.errors import LifeboatError
from lifeboat.config.settings import Settings
from lifeboat.services import systemd
from lifeboat.services.home import check_home
from lifeboat.services.keeper.daemon import keeping_in_background, keeping_in_foreground, stop_home, stop_services
from lifeboat.services.keeper.keeper import STARTS
from lifeboat.services.keeper.logs import LogTail
from lifeboat.services.keeper.services import KeptService, ModelServer, deployed, home_services, model_servers, services
from lifeboat.system.markup import terminal_text


def serve(options: argparse.Namespace, settings: Settings) -> int:
    """Brings back what was deployed and keeps it; gives 1 where some of it cannot be brought back.

    Raises:
        DeployError: nothing was deployed, or nothing of it can be brought back.
        SettingsError: a unit was asked for, and there is no systemd.
    """
    if options.install or options.uninstall:
        print("\n".join(systemd.install(settings) if options.install else systemd.uninstall(settings)))
        return 0
    check_home(settings)
    settings.make_environments(print)
    chosen = deployed(settings, name_of(options.usecase, settings) if options.usecase else "")
    return (_serve_detached if options.detach else _serve_here)(chosen, settings, _interruption())


def _interruption() -> threading.Event:
    """Set by a signal that asks to end: a start under way is finished, so that nothing runs which nobody keeps."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup does
            signal.signal(number, lambda *_: stopping.set())
    return stopping


def _serve_detached(chosen: Sequence[ModelServer], settings: Settings, stopping: threading.Event) -> int:
    with keeping_in_background(settings):
        whole = _bring_up(chosen, settings)
    lost = _stopped_meanwhile(chosen)
    if not _any_wanted(settings):
        stop_home(settings, partial(_say, "lifeboat"))  # what was started after it had looked
        return 1
    if stopping.is_set():
        print("lifeboat: interrupted, but what was begun is up and kept; lifeboat stop ends it", file=sys.stderr)
        return 130
    _say_what_serves(settings)
    return 0 if whole and not lost else 1


def _stopped_meanwhile(chosen: Sequence[ModelServer]) -> bool:
    """Whether `lifeboat stop` has taken some of it back in the meantime, which is said: it has the last word."""
    lost = [server for server in chosen if not server.is_wanted()]
    for server in lost:
        _say(server.name, "lifeboat stop came in between: it stays stopped")
    return bool(lost)


def _any_wanted(settings: Settings) -> bool:
    return any(server.is_wanted() for server in model_servers(settings))


def _serve_here(chosen: Sequence[ModelServer], settings: Settings, stopping: threading.Event) -> int:
    with ExitStack() as stack:
        logs = stack.enter_context(closing(_Logs(settings)))
        _bring_up(chosen, settings)
        with keeping_in_foreground(settings, _say) as keeper:
            try:
                if _any_wanted(settings):
                    _say_what_serves(settings)
                    _say("lifeboat", "Ctrl-C ends all of it")
                    keeper.watch(stopping, lambda: logs.show() and keeper.is_needed())
                # A stop that began before this was the keeper could not tell it so.
                lost = not stopping.is_set() and _stopped_meanwhile(chosen)
            finally:
                stop_services(settings, say=partial(_say, "lifeboat"))
                logs.show()
    return 1 if lost else 0


def _bring_up(chosen: Sequence[ModelServer], settings: Settings) -> bool:
    """Starts the model servers, at once, then the detector, for which their events wait, and the explainer; whether all
    of it came up.

    Raises:
        LifeboatError: no model server did.
    """
    with ThreadPoolExecutor(STARTS) as pool:
        troubles = [error for error in pool.map(_start, chosen) if error is not None]
    if len(troubles) == len(chosen):
        for server in chosen:
            server.give_up()
        raise troubles[0]
    if not _any_wanted(settings):
        return False  # they were stopped meanwhile
    others = [service for service in home_services(settings) if service.is_chosen]
    return not [error for error in map(_start, others) if error is not None] and not troubles


def _start(service: KeptService) -> LifeboatError | None:
    try:
        service.bring_up(partial(_say, service.name))
    except LifeboatError as error:
        _say(service.name, f"it cannot be started: {error}")
        return error
    return None


def _say_what_serves(settings: Settings) -> None:
    logs = [f"log of {service.name}: {service.log}" for service in services(settings)]
    _print("\n".join([*home_lines(settings), *logs]))


def _say(who: str, text: str) -> None:
    _print(f"{who} | {text}")


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except OSError:  # whoever read this is gone, which is no reason for what serves to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Logs:
    """The logs of a home's services, from now on, on the terminal."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._tails = settings, dict[str, LogTail]()
        self.show()

    def show(self) -> bool:
        """Prints what is new, each line with the name of its service; True, as a keeper asks what it calls."""
        for service in services(self._settings):
            if service.name not in self._tails:
                self._tails[service.name] = LogTail(service.log)
            for line in self._tails[service.name].lines():
                _say(service.name, terminal_text(line))
        return True

    def close(self) -> None:
        """Lets go of the files."""
        for tail in self._tails.values():
            tail.close()
