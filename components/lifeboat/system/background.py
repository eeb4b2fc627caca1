"""Processes that outlive the one that starts them, and what they say of their start."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

# Kept until they are reaped: Python warns of a child that outlives its handle.
_started: list[subprocess.Popen[bytes]] = []
_CHUNK = 65536


def start_process(
    command: Sequence[str],
    folder: Path,
    log: BinaryIO,
    *,
    output: int | None = None,
    environment: Mapping[str, str] | None = None,
    inherited: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Starts a process in a session of its own, which no signal of our terminal reaches.

    Args:
        command: to run.
        folder: that it works in.
        log: takes its errors, and its output.
        output: descriptor that takes its output instead, such as `subprocess.PIPE`.
        environment: all of it; ours unless given.
        inherited: descriptors of files that stay open in it.

    Raises:
        OSError: it cannot be started.
    """
    reap_processes()
    process = subprocess.Popen(
        command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=log if output is None else output,
        stderr=log, start_new_session=True, pass_fds=inherited,
    )  # fmt: skip
    _started.append(process)
    return process


def reap_processes() -> None:
    """Takes leave of those that ended, which would stay as zombies."""
    _started[:] = [process for process in _started if process.poll() is None]


def first_words(process: subprocess.Popen[bytes], seconds: float) -> bytes | None:
    """What a process says on its pipe, up to its first line's end or the end of the pipe; which is closed then.

    Returns:
        Nothing where it closed its end without a word; None where it says nothing in time.
    """
    deadline, content = time.monotonic() + seconds, b""
    if process.stdout is None:
        raise ValueError("the process has no pipe to say anything on")
    with process.stdout as pipe, selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while b"\n" not in content:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return None
            chunk = os.read(pipe.fileno(), _CHUNK)
            if not chunk:
                break
            content += chunk
    return content
