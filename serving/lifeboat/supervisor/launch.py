"""Starts the supervisor as a daemon; needs no library, as `lifeboat.supervisor.control` promises."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import time
from pathlib import Path

from lifeboat.config.errors import DeployError, PortError

STARTUP_SECONDS = 20.0

# Kept: Python warns of a child that outlives its handle.
started: list[subprocess.Popen[bytes]] = []


def launch(command: list[str], log: Path) -> DeployError | None:
    """Starts the daemon detached; gives None once it runs, else why it does not, PortError for one."""
    ours, theirs = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), ("rb", "wb"), strict=True))
    with ours, theirs, log.open("ab") as stream:
        try:
            daemon = subprocess.Popen(
                command, cwd=log.parent, stdin=subprocess.DEVNULL,
                stdout=theirs, stderr=stream, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            return DeployError(f"the supervisor cannot be started with {command[0]}: {error.strerror}")
        started.append(daemon)
        theirs.close()
        line = _first_line(ours.fileno(), STARTUP_SECONDS)
    return _reason(line, log)


def _reason(line: bytes, log: Path) -> DeployError | None:
    """Reads the daemon's first line: `{"ready": true}` or `{"error": sentence, "port_taken": bool}`."""
    try:
        said = json.loads(line)
    except ValueError:
        return DeployError(f"the supervisor ended at its start; its last words are in {log}")
    if "error" not in said:
        return None
    return PortError(said["error"]) if said["port_taken"] else DeployError(said["error"])


def _first_line(descriptor: int, seconds: float) -> bytes:
    """What can be read up to a line's end, the pipe's end or the deadline."""
    deadline, content = time.monotonic() + seconds, b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while b"\n" not in content and selector.select(max(0.0, deadline - time.monotonic())):
            chunk = os.read(descriptor, 65536)
            if not chunk:
                break
            content += chunk
    return content
