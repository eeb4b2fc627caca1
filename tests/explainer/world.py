"""The explainer as a process, and what may be asked of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.server.world import ROOT, ROW, Answer, call


@dataclass
class RunningExplainer:
    """An explainer's process and where it listens."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/explain"

    def ask(self, digest: str, *rows: dict[str, Any], **more: Any) -> Answer:
        """The reasons of rows of the tiny model."""
        rows = rows or (ROW,)
        inputs = [{"name": name, "data": [row[name] for row in rows]} for name in rows[0]]
        return call(self.url, {"usecase": "tiny", "digest": digest, "rows": len(rows), "inputs": inputs, **more})

    def metrics(self) -> dict[str, float]:
        lines = call(f"http://127.0.0.1:{self.port}/metrics").body.decode().splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[0] != "#"}

    def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@contextmanager
def explainer(store: Path | str, *flags: str) -> Iterator[RunningExplainer]:
    """Runs an explainer on a free port, ready."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        # Not behind the other tests, which have all the cores.
        own = ["--store", str(store), "--cache", str(Path(folder) / "bundles"), "--port", "0", "--nice", "0"]
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "lifeboat.explainer", *own, *flags], cwd=ROOT, stderr=stream, env=os.environ
            )
        try:
            yield RunningExplainer(process, _port(process, log), log)
        finally:
            process.kill()
            process.wait()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_text().splitlines():
            if (document := json.loads(line))["message"] == "ready":
                return int(document["addresses"][0].rpartition(":")[2])
        time.sleep(0.02)
    raise AssertionError(f"the explainer is not ready: {log.read_text()}")
