"""The drift test's process as its parent sees it: started when it is needed, and again when it has died."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any, Literal

import orjson

from lifeboat.system import log
from lifeboat.system.backoff import pauses

State = Literal["idle", "loading", "ready", "failed"]
FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
LONGEST_LINE = 256 << 20
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


class DriftTestDiedError(Exception):
    """The process ended, or did not answer in time."""


class DriftTestRefusedError(Exception):
    """The window cannot be tested; its text is the reason."""


class DriftTestClient:
    """Starts the process and talks to it, one order at a time.

    Args:
        module: of the drift test.
        seconds: for an answer.
        environment: of the process.
    """

    def __init__(self, module: str, seconds: float, environment: dict[str, str]) -> None:
        self.state: State = "idle"
        self.reason = ""
        self.starts = 0
        self._module, self._seconds, self._environment = module, seconds, environment
        self._process: asyncio.subprocess.Process | None = None
        self._pauses, self._until = pauses(FIRST_DELAY, LONGEST_DELAY), 0.0

    async def ask(self, do: str, **order: Any) -> Any:
        """Gives an order and returns the result.

        Raises:
            JudgeDiedError: there is no answer; the next order starts the process again.
            DriftTestRefusedError: the drift test raised an error.
        """
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._exchange(orjson.dumps({"do": do, **order}) + b"\n")
        except (OSError, ValueError, DriftTestDiedError) as error:
            await self._reap(error)
            raise DriftTestDiedError(self.reason) from None
        self.state, self.reason, self._pauses = "ready", "", pauses(FIRST_DELAY, LONGEST_DELAY)
        if "error" in answer:
            raise DriftTestRefusedError(answer["error"])
        return answer["result"]

    async def pause(self) -> None:
        """Waits as long as a process that has died should not be started again."""
        await asyncio.sleep(max(0.0, self._until - time.monotonic()))

    async def end(self) -> None:
        """Ends the process."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def _exchange(self, line: bytes) -> Any:
        process = await self._running()
        if process.stdin is None or process.stdout is None:
            raise DriftTestDiedError("the judge has no pipes")
        process.stdin.write(line)
        await process.stdin.drain()
        answer = await process.stdout.readline()
        if not answer:
            raise DriftTestDiedError(f"the judge ended with {await process.wait()}")
        return orjson.loads(answer)

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            self.state, self.starts = "loading", self.starts + 1
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "lifeboat.detector.drift_test.test_process", self._module,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LONGEST_LINE,
                env={**self._environment, **ONE_THREAD}, start_new_session=True,
            )  # fmt: skip
        return self._process

    async def _reap(self, error: Exception) -> None:
        await self.end()
        self._process = None
        delay = next(self._pauses)
        self._until = time.monotonic() + delay
        late = isinstance(error, TimeoutError)
        self.state, self.reason = "failed", f"no answer within {self._seconds:g} s" if late else str(error)
        log.error("the judge has died and is started again", reason=self.reason, again_seconds=delay)
