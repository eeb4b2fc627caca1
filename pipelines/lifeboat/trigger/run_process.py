"""The process between the trigger and a run: it outlives the trigger, ends a run that is late, and writes its result.

    python -m lifeboat.trigger.run_process LOCK SECONDS RESULT COMMAND...

It says `{"error": null}`, or why the command did not start, on standard output and closes that; the run's own output
goes where standard error goes. LOCK is a descriptor of a locked file, which the command holds, too: but no process that
outlives it, since Python closes what it inherits in the processes it starts.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lifeboat.system.files import write_text

GRACE_SECONDS = 20.0


def main(arguments: Sequence[str]) -> int:
    """Runs the command to its end; gives 0 if a result was written."""
    lock, seconds, result, *command = arguments
    run: list[subprocess.Popen[bytes]] = []

    def interrupt(*_: object) -> None:
        for one in run:
            _send(one, signal.SIGINT)

    for number in (signal.SIGTERM, signal.SIGINT):
        # Also so that the command has the usual handling of both, even where this process was told to ignore one.
        signal.signal(number, interrupt)
    started = time.monotonic()
    try:
        run.append(_start(command, int(lock)))
    except OSError as error:
        _tell(f"{command[0]} cannot be started: {error.strerror}")
        return 1
    _tell(None)
    late = _wait(run[0], float(seconds))
    document = {"code": run[0].returncode, "late": late, "seconds": time.monotonic() - started}
    write_text(Path(result), json.dumps(document))
    return 0


def _start(command: Sequence[str], lock: int) -> subprocess.Popen[bytes]:
    """A process group of its own, so that its steps end with it."""
    output = sys.stderr.fileno()
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, pass_fds=(lock,), process_group=0
    )


def _tell(problem: str | None) -> None:
    with contextlib.suppress(BrokenPipeError):  # the trigger died meanwhile; the next one finds the run by its lock
        os.write(1, json.dumps({"error": problem}).encode())
    os.close(1)


def _wait(run: subprocess.Popen[bytes], seconds: float) -> bool:
    """Waits for the end, which it brings about after so many seconds; says whether it had to."""
    try:
        run.wait(seconds)
    except subprocess.TimeoutExpired:
        _send(run, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(GRACE_SECONDS)
        _send(run, signal.SIGKILL)
        run.wait()
        return True
    return False


def _send(run: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(run.pid, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
