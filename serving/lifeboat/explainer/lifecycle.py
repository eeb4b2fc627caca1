"""The explainer's life: listen, explain, drain."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys

from lifeboat.config.errors import SettingsError
from lifeboat.explainer.service import ExplainerService
from lifeboat.explainer.settings import IDLE, SERVICE, ExplainerSettings
from lifeboat.http.listener import Listener
from lifeboat.http.sockets import bind, listen
from lifeboat.system import log
from lifeboat.system.tracing import FLUSH_SECONDS, open_tracer

# The loop waits for this several times for one answer while a thread explains.
SWITCH_SECONDS = 0.001


def run(settings: ExplainerSettings) -> None:
    """Runs until SIGTERM or SIGINT.

    Raises:
        SettingsError, StorageError: it cannot run.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    _give_way(settings.nice)
    log.choose_level(settings)
    bound = socket.socket(fileno=settings.descriptor) if settings.descriptor else bind(settings.host, settings.port)
    asyncio.run(_run(settings, bound))


def _give_way(nice: int) -> None:
    """Lets other programs go first.

    With the policy for what is idle a prediction takes the core at once; with a priority the scheduler lets whoever
    runs finish its slice of milliseconds, which is felt at the 99th percentile. But where other programs take all of
    the machine that policy leaves nothing, not even to say that it lives: so it is not the default.
    """
    if nice < IDLE:
        os.nice(nice)
        return
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except (AttributeError, OSError) as error:  # not Linux, or forbidden by a sandbox
        raise SettingsError(f"nice is {nice}, which this system does not allow: {error}") from error


async def _run(settings: ExplainerSettings, bound: socket.socket) -> None:
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    tracer = open_tracer(SERVICE, settings)
    service = ExplainerService(settings, tracer)
    listener = Listener(loop, settings.listener_limits, service.app.handle, service.app.refusal)
    listen(bound)
    listener.open(bound)
    service.ready = True
    log.info("ready", addresses=["{}:{}".format(*bound.getsockname()[:2])])
    await stopping.wait()
    service.ready = False
    log.info("draining")
    await listener.drain()
    service.close()
    if tracer is not None:
        await asyncio.to_thread(tracer.close, FLUSH_SECONDS)
    log.info("stopped")
