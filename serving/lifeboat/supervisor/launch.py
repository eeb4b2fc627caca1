"""Starts the supervisor as a daemon; needs no library, as `lifeboat.supervisor.control` promises."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from lifeboat.config.errors import DeployError, PortError
from lifeboat.system.background import first_words, start_process

STARTUP_SECONDS = 20.0


def launch(command: list[str], log: Path) -> DeployError | None:
    """Starts the daemon detached; gives None once it runs, else why it does not, PortError for one."""
    with log.open("ab") as stream:
        try:
            daemon = start_process(command, log.parent, stream, output=subprocess.PIPE)
        except OSError as error:
            return DeployError(f"the supervisor cannot be started with {command[0]}: {error.strerror}")
    # Of the first line, `{"ready": true}` or `{"error": sentence, "port_taken": bool}`.
    line = first_words(daemon, STARTUP_SECONDS)
    if line is None:
        daemon.kill()
        return DeployError(f"the supervisor was not ready within {STARTUP_SECONDS:g} s and was ended; its log is {log}")
    try:
        said = json.loads(line)
    except ValueError:
        return DeployError(f"the supervisor ended at its start; its last words are in {log}")
    if "error" not in said:
        return None
    return PortError(said["error"]) if said["port_taken"] else DeployError(said["error"])
