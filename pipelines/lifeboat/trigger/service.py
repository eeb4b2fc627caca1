"""The trigger's life: settings and state, the server, and the tasks beside it: watching the run, and the schedule.

SIGTERM and SIGINT end it once the requests at hand are answered. A local run goes on, in its own session: the next
trigger finds it.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from lifeboat.config.errors import PortError
from lifeboat.config.settings import Settings
from lifeboat.config.token_file import TokenFile
from lifeboat.http.listener import Listener
from lifeboat.http.sockets import bind, listen
from lifeboat.system import log
from lifeboat.system.addresses import base_url, find_holder
from lifeboat.trigger.app import App
from lifeboat.trigger.backend import Backend
from lifeboat.trigger.local import Local
from lifeboat.trigger.metrics import TriggerMetrics
from lifeboat.trigger.policy import Policy
from lifeboat.trigger.runtime_dir import Address, RuntimeDir
from lifeboat.trigger.settings import TriggerSettings, variable
from lifeboat.trigger.state import RetrainRequest, TriggerState
from lifeboat.usecase.usecase import load_usecase

WATCH_SECONDS = 0.2
# How often a schedule is looked at, at least.
SCHEDULE_SECONDS = 300.0
TROUBLE_SECONDS = 5.0


def serve(settings: Settings, chosen: TriggerSettings) -> None:
    """Runs the trigger until it is told to end.

    Raises:
        SettingsError: a setting, the token, the state or the port cannot be used.
    """
    chosen = replace(chosen, usecase=chosen.usecase or settings.usecase, image=chosen.image or settings.image)
    name = load_usecase(chosen.usecase).name
    log.set_up("retrain-trigger")
    log.choose_level(settings.of_services)
    runtime_dir = RuntimeDir(settings)
    with contextlib.closing(runtime_dir):
        token_file = Path(chosen.token_file) if chosen.token_file else runtime_dir.token_file()
        token = TokenFile(token_file).token
        state = TriggerState(Path(chosen.state) if chosen.state else runtime_dir.folder / "trigger.db")
        with contextlib.closing(state), _listening(chosen, settings.home_path) as listener:
            metrics = TriggerMetrics(state)
            policy = Policy(state, _backends(state, runtime_dir, settings, chosen), chosen, metrics, name)
            app = App(policy, state, metrics, chosen, token, chosen.model or name)

            def announce() -> None:
                address = Address(base_url(*listener.getsockname()[:2]), str(token_file.absolute()))
                runtime_dir.announce(address)
                print(f"the retrain trigger listens at {address.url}, its token is in {address.token_file}", flush=True)

            asyncio.run(_serve(app, policy, state, chosen, listener, announce))


def _backends(
    state: TriggerState, runtime_dir: RuntimeDir, settings: Settings, chosen: TriggerSettings
) -> dict[str, Backend]:
    """That of new runs, and that of the run that goes, where the setting was changed meanwhile."""
    going = state.open_run()
    made: dict[str, Backend] = {"local": Local(runtime_dir.folder, chosen)}
    if "kubeflow" in (chosen.backend, going.backend if going else ""):
        from lifeboat.trigger.kubeflow import Kubeflow

        made["kubeflow"] = Kubeflow(settings, chosen)
    return made


@contextlib.contextmanager
def _listening(chosen: TriggerSettings, home: Path) -> Iterator[socket.socket]:
    try:
        listener = bind(chosen.host, chosen.port)
    except PortError as error:
        holder = find_holder(chosen.port)
        who = f", it is taken by {holder.describe(home)}" if holder else ""
        raise PortError(f"{error}{who}; choose another with --port (or {variable('port')})") from error
    with listener:
        listen(listener)
        yield listener


async def _serve(
    app: App,
    policy: Policy,
    state: TriggerState,
    chosen: TriggerSettings,
    listener: socket.socket,
    announce: Callable[[], None],
) -> None:
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    server = Listener(loop, chosen.listener_limits, app.http.handle, app.http.refusal)
    server.open(listener)
    announce()
    tasks = [asyncio.create_task(_repeat(partial(_watch, policy), stopping))]
    if chosen.every_seconds:
        keeping = partial(_keep_schedule, policy, state, chosen.every_seconds)
        tasks.append(asyncio.create_task(_repeat(keeping, stopping)))
    await stopping.wait()
    await server.drain()
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome


async def _repeat(step: Callable[[], float], stopping: asyncio.Event) -> None:
    """Calls again after as many seconds as `step` gives; an error nobody expected ends the trigger."""
    while True:
        try:
            wait = await asyncio.to_thread(step)
        except (sqlite3.Error, OSError) as error:  # a full disk, say, which someone may clear
            log.error(f"the state or a run's folder cannot be used: {error}")
            wait = TROUBLE_SECONDS
        except Exception:
            stopping.set()
            raise
        await asyncio.sleep(wait)


def _watch(policy: Policy) -> float:
    policy.watch()
    return WATCH_SECONDS


def _keep_schedule(policy: Policy, state: TriggerState, every: float) -> float:
    """Asks for a run when none has started for so long; a refusal is asked again after a while."""
    wait = state.scheduled_since(time.time()) + every - time.time()
    if wait <= 0:
        answer = policy.ask(RetrainRequest("schedule", f"schedule: no run for {every:g} s"))
        wait = every if answer.result == "started" else min(every, SCHEDULE_SECONDS)
    return min(wait, SCHEDULE_SECONDS)
