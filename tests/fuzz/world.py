"""The three servers as processes of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.detector.world import Detector, add_bundle, detector
from tests.server.world import call, server
from tests.trigger.world import World as TriggerWorld

from .case import DETECTOR, MODEL, TRIGGER, Facts
from .processes import Held

TOKEN = "0123456789abcdef0123456789abcdef"
# So that what waits for a request to arrive whole is told within a run.
REQUEST_SECONDS = "5"
# Small, so that every room is full long before the end: what is held must not grow with what is sent. Only what waits
# to be folded in has no limit: the fuzzer sends no more while much waits.
ROOMS = {
    "max-ids": 20_000, "max-halves": 5_000, "max-halves-bytes": 16 << 20, "max-held": 1_000, "max-held-bytes": 8 << 20,
    "max-versions": 20, "max-newcomers": 500, "retention-rows": 20_000, "max-truths": 2_000, "join-seconds": 20,
    "bundle-seconds": 20, "max-waiting": 10_000_000, "max-waiting-bytes": 1 << 34, "request-seconds": REQUEST_SECONDS,
    "judge": "tests.fuzz.quick",
}  # fmt: skip


@dataclass(frozen=True)
class World:
    """What runs.

    Args:
        facts: what of it stands in requests.
        tags: what the model server calls its model.
        detector: the detector.
        pids: of each server.
        logs: of each server.
    """

    facts: Facts
    tags: dict[str, str]
    detector: Detector
    pids: dict[str, int]
    logs: dict[str, Path]

    def held(self) -> dict[str, Held]:
        """What each of them holds."""
        return {name: Held.of(pid) for name, pid in self.pids.items()}

    def ready(self) -> dict[str, int]:
        """How each answers whether it is ready."""
        return {name: call(f"http://127.0.0.1:{port}/ready").status for name, port in self.facts.ports.items()}

    def report(self) -> dict[str, Any]:
        """The detector's report, once nothing waits to be folded in."""
        return self.detector.until(lambda found: not found["events"]["waiting"], 300)


@contextmanager
def running(folder: Path) -> Iterator[World]:
    """Starts all of them in a folder of their own."""
    store = folder / "store"
    digest = add_bundle(store, window=1000, minimum=5)
    bundle = store / "bundles" / "tiny" / digest
    token = folder / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    limits = ("--max-body", "1000000", "--max-rows", "1000", "--request-seconds", REQUEST_SECONDS)
    rooms = [word for name, value in ROOMS.items() for word in (f"--{name}", str(value))]
    with (
        server(bundle, "--model-version", "3", *limits) as model,
        detector(store, folder / "drift.db", *rooms) as watching,
        TriggerWorld(folder / "trigger").trigger(token_file=token, request_seconds=REQUEST_SECONDS) as trigger,
    ):
        ports = {
            MODEL: model.port,
            DETECTOR: watching.port,
            TRIGGER: int(trigger.url.rpartition(":")[2]),
        }
        tags = {"model_name": "tiny", "model_version": "3", "bundle_digest": digest}
        pids = {MODEL: model.process.pid, DETECTOR: watching.process.pid, TRIGGER: trigger.process.pid}
        logs = {MODEL: model.log, DETECTOR: watching.log, TRIGGER: trigger.errors}
        yield World(Facts(digest, TOKEN, ports), tags, watching, pids, logs)
