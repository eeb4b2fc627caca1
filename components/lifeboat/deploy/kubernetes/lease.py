"""Whose rollout it is: of two at once one goes on, and one whose process was killed is taken over.

A coordination.k8s.io/v1 Lease of the SeldonDeployment's name says so, by the rules of Kubernetes' own leader election:
the holder writes the time anew while it lives, and whoever finds another's name there watches it. A Lease that changes
is a rollout in progress, one that stands still for its duration is a dead one's; no two machines' clocks are compared.
Each write names the resourceVersion it was read at, so that of two that take over at the same time the API server
refuses one.
"""

from __future__ import annotations

import math
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from lifeboat.config.errors import DeployError, LeaseError
from lifeboat.deploy.kubernetes.cluster import Cluster, ConflictError, Document
from lifeboat.deploy.kubernetes.plan import Pace
from lifeboat.deploy.timeline import Say

# To write onto the newest state: the check of a deleted Lease and the signs of life may meet.
ATTEMPTS = 10


class Lease:
    """The right to change one SeldonDeployment.

    Args:
        cluster: where it is.
        pace: `lease` and `poll`.
    """

    def __init__(self, cluster: Cluster, pace: Pace) -> None:
        self._cluster, self._pace = cluster, pace
        self.holder = f"{socket.gethostname()}_{uuid.uuid4().hex[:12]}"
        self._acquired = ""
        self._trouble: DeployError | None = None

    @contextmanager
    def taken(self, say: Say) -> Iterator[None]:
        """Holds the Lease for the block.

        Raises:
            LeaseError: another rollout is in progress.
        """
        self._acquire(say)
        done = threading.Event()
        thread = threading.Thread(target=self._keep, args=(done,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            self._release(say)

    def check(self) -> None:
        """To be called before each change of the SeldonDeployment, after it was read.

        Raises:
            LeaseError: another rollout took over.
            DeployError: the Lease could not be renewed.
        """
        if self._trouble:
            raise self._trouble
        # No more than a reading, which is tried again where the API server is in trouble for a moment.
        if self._own(self._cluster.lease()) is None:
            self._renew()

    def _acquire(self, say: Say) -> None:
        """Writes our name once nobody alive holds it."""
        seen, since = ("", ""), time.monotonic()
        while True:
            found = self._cluster.lease()
            held = (_holder(found), _renewed(found))
            if held != seen:
                if held[0] and held[0] == seen[0]:
                    raise LeaseError(f"{held[0]} holds {self._cluster.name}", holder=held[0])
                seen, since = held, time.monotonic()
            if not held[0] or time.monotonic() - since > _duration(found):
                if held[0]:
                    say(f"the rollout of {held[0]} ended in the middle, it is taken over")
                self._acquired = _now()
                if self._written(found, self.holder):
                    return
            time.sleep(self._pace.poll)

    def _renew(self) -> None:
        for _ in range(ATTEMPTS):
            if self._written(self._own(self._cluster.lease()), self.holder):
                return
        raise DeployError(f"the Lease of {self._cluster.name} changes all the time, it could not be renewed")

    def _own(self, found: Document | None) -> Document | None:
        """The Lease as read, if it is still ours; None where somebody deleted it, until another one makes it."""
        if found is not None and _holder(found) != self.holder:
            raise LeaseError(f"{_holder(found) or 'nobody'} took this one over", holder=_holder(found))
        return found

    def _keep(self, done: threading.Event) -> None:
        """Signs of life, until done, taken over, or failed for a lease."""
        last = time.monotonic()
        while not done.wait(self._pace.lease / 5):
            try:
                self._renew()
                last = time.monotonic()
            except DeployError as error:
                if isinstance(error, LeaseError) or time.monotonic() - last > self._pace.lease:
                    self._trouble = error
                    return

    def _release(self, say: Say) -> None:
        """Takes our name away; where that fails the next rollout waits for a lease, which is no failure of this one."""
        try:
            for _ in range(ATTEMPTS):
                found = self._cluster.lease()
                if _holder(found) != self.holder or self._written(found, None):
                    return
        except DeployError as error:
            say(f"the Lease of {self._cluster.name} could not be released, the next rollout will wait for it: {error}")

    def _written(self, found: Document | None, holder: str | None) -> bool:
        """Whether the Lease could be written onto that very state, or made."""
        spec = (found or {}).get("spec", {})
        changes = int(spec.get("leaseTransitions") or 0) + (holder is not None and _holder(found) != holder)
        document = {
            "acquireTime": self._acquired,
            "renewTime": _now(),
            "leaseDurationSeconds": math.ceil(self._pace.lease),
            "leaseTransitions": changes,
            **({} if holder is None else {"holderIdentity": holder}),
        }
        try:
            self._cluster.write_lease(document, found)
        except ConflictError:
            return False
        return True


def _holder(found: Document | None) -> str:
    """Empty where there is none."""
    return str((found or {}).get("spec", {}).get("holderIdentity") or "")


def _renewed(found: Document | None) -> str:
    return str((found or {}).get("spec", {}).get("renewTime", ""))


def _duration(found: Document | None) -> float:
    return float((found or {}).get("spec", {}).get("leaseDurationSeconds") or 0)


def _now() -> str:
    """As Kubernetes' MicroTime."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
