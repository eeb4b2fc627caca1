"""The home page's life: a server that answers until it is told to end."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable

from lifeboat.config.home_access import service_access
from lifeboat.config.settings import Settings
from lifeboat.config.tokens import Limits
from lifeboat.http.access import Access
from lifeboat.http.limits import ListenerLimits
from lifeboat.http.listener import Listener
from lifeboat.system import log
from lifeboat.ui.app import App
from lifeboat.ui.home import HomeReader

# Nobody sends this server anything, and a reader who leaves need not be waited for long.
LIMITS = ListenerLimits(max_body=0, max_connections=128, drain_idle_seconds=0.2, drain_seconds=5.0)


def serve(settings: Settings, listening: socket.socket, announce: Callable[[], None]) -> None:
    """Answers until SIGTERM or SIGINT.

    Args:
        settings: of the home.
        listening: takes the connections.
        announce: called once it answers.
    """
    log.set_up("home-page")
    log.choose_level(settings.of_services)
    said = service_access(settings, settings.ui_host)
    access = Access(said["tokens"], "", Limits(), lambda _caller, _result: None) if "tokens" in said else None
    app = App(HomeReader(settings), settings.home_path, (settings.ui_host, socket.gethostname()), access)
    asyncio.run(_serve(app, listening, announce))


async def _serve(app: App, listening: socket.socket, announce: Callable[[], None]) -> None:
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    server = Listener(loop, LIMITS, app.handle, app.http.refusal)
    server.open(listening)
    announce()
    await stopping.wait()
    await server.drain()
