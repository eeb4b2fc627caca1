"""Whose rollout it is: of two at once one goes on, and one whose process was killed is taken over.

The holder writes `ID COUNT` into an annotation of the SeldonDeployment and raises the count while it lives. Whoever
finds another's id there watches it: a count that rises is a rollout in progress, one that stands still for a lease is a
dead one's. Nobody compares clocks of two machines. Each write names the resourceVersion it was read at, so that of two
that take over at the same time one is refused by the API server.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from lifeboat.config.errors import DeployError
from lifeboat.deploy.kubernetes.cluster import Cluster, ConflictError, Document
from lifeboat.deploy.kubernetes.manifest import HOLDER, annotation
from lifeboat.deploy.kubernetes.plan import Pace
from lifeboat.deploy.timeline import Say


class Lease:
    """The hold on one SeldonDeployment.

    Args:
        cluster: where it is.
        pace: `lease` and `poll`.
    """

    def __init__(self, cluster: Cluster, pace: Pace) -> None:
        self._cluster, self._pace = cluster, pace
        self.id = uuid.uuid4().hex[:12]
        self._count = 0
        self._trouble: DeployError | None = None

    @property
    def mark(self) -> str:
        """The annotation's next value."""
        self._count += 1
        return f"{self.id} {self._count}"

    @contextmanager
    def taken(self, say: Say) -> Iterator[None]:
        """Holds the rollout for the block.

        Raises:
            DeployError: another one is in progress.
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

    def checked(self, live: Document | None) -> Document | None:
        """The object as read, if it is still ours.

        Raises:
            DeployError: another deployment took over, or the signs of life could not be written.
        """
        if self._trouble:
            raise self._trouble
        holder = annotation(live, HOLDER)
        if live is not None and _owner(holder) != self.id:
            raise DeployError(f"another deployment is in progress: {_owner(holder) or 'nobody'} took this one over")
        return live

    def _acquire(self, say: Say) -> None:
        """Writes our name once nobody alive holds it; the object's creation does it where there is none yet."""
        seen, since = "", time.monotonic()
        while (live := self._cluster.read()) is not None:
            found = annotation(live, HOLDER)
            if found and _owner(found) == _owner(seen) and found != seen:
                raise DeployError(f"another deployment is in progress: {_owner(found)} holds {self._cluster.name}")
            if found != seen:
                seen, since = found, time.monotonic()
            if not found or time.monotonic() - since > self._pace.lease:
                if found:
                    say(f"the rollout of {_owner(found)} ended in the middle, it is taken over")
                if self._written(live):
                    return
            time.sleep(self._pace.poll)

    def _written(self, live: Document, value: str | None = None) -> bool:
        try:
            mark = self.mark if value is None else value
            self._cluster.annotate({HOLDER: mark}, live["metadata"]["resourceVersion"])
        except ConflictError:
            return False  # read it again: perhaps only the operator wrote its status
        return True

    def _keep(self, done: threading.Event) -> None:
        """Signs of life, until done or until they fail for a lease."""
        last = time.monotonic()
        while not done.wait(self._pace.lease / 5):
            try:
                live = self._cluster.read()
                if live is None or (_owner(annotation(live, HOLDER)) == self.id and self._written(live)):
                    last = time.monotonic()
            except DeployError as error:
                if time.monotonic() - last > self._pace.lease:
                    self._trouble = error
                    return

    def _release(self, say: Say) -> None:
        """Takes our name away; where that fails the next rollout waits for a lease, which is no failure of this one."""
        try:
            for _ in range(10):
                live = self._cluster.read()
                if live is None or _owner(annotation(live, HOLDER)) != self.id or self._written(live, ""):
                    return
        except DeployError as error:
            say(f"the hold on {self._cluster.name} could not be released, the next rollout will wait for it: {error}")


def _owner(mark: str) -> str:
    return mark.partition(" ")[0]
