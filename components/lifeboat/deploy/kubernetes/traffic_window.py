"""Watching a challenger under traffic for the window of one step."""

from __future__ import annotations

import time

from lifeboat.config.errors import DeployError
from lifeboat.deploy.kubernetes.analysis import errors, objections, summary, too_few
from lifeboat.deploy.kubernetes.plan import RolloutPlan
from lifeboat.deploy.kubernetes.prometheus import Prometheus


def watch(prometheus: Prometheus, champion: str, challenger: str, plan: RolloutPlan) -> str:
    """Gives the figures of a challenger that kept to the limits.

    Failed requests end the watch as soon as there are enough of them; latency and scores are judged once, at its end.

    Args:
        prometheus: counts both.
        champion, challenger: digests.
        plan: the window, the limits, and how long to wait for enough requests.

    Raises:
        DeployError: a limit is broken, or there is not enough traffic, or Prometheus does not tell.
    """
    start = time.monotonic()
    while True:
        time.sleep(max(plan.pace.poll, plan.window / 20))
        elapsed = time.monotonic() - start
        try:
            seconds = max(1, int(elapsed))
            old, new = (prometheus.sample(digest, seconds) for digest in (champion, challenger))
            missing = too_few(old, new, plan.limits)
        except DeployError as error:  # it may be back before our patience ends
            missing = str(error)
        if missing is None:
            _refuse([found for found in (errors(old, new, plan.limits),) if found])
            if elapsed >= plan.window:
                _refuse(objections(old, new, plan.limits))
                return summary(old, new)
        elif elapsed >= max(plan.window, plan.patience):
            raise DeployError(f"{missing}, in {elapsed:.0f} s")


def _refuse(found: list[str]) -> None:
    if found:
        raise DeployError("; ".join(found))
