"""Whose rollout it is, on a stand-in for the API server that keeps one Lease and its resourceVersion."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from lifeboat.config.errors import DeployError, LeaseError
from lifeboat.deploy.kubernetes.cluster import Cluster
from lifeboat.deploy.kubernetes.lease import Lease
from lifeboat.deploy.kubernetes.plan import Pace

PACE = Pace(poll=0.01, lease=1.0)
PATH = "/apis/coordination.k8s.io/v1/namespaces/lifeboat/leases"


class Api:
    """Keeps a Lease as an API server does: a write onto another state than it names is a conflict."""

    def __init__(self) -> None:
        self.lock, self.kept, self.requests = threading.Lock(), dict[str, Any](), list[str]()
        self.broken = False
        self.before_write: Callable[[], object] = lambda: None

    def call_api(self, path: str, method: str, *, body: Any, **_: Any) -> Any:
        if method != "GET":
            self.before_write()
        with self.lock:
            self.requests.append(f"{method} {path}")
            if self.broken:
                raise ApiException(status=403, reason="Forbidden")
            if method == "GET" and not self.kept:
                raise ApiException(status=404, reason="Not Found")
            if method != "GET":
                self._write(method, body)
            return self.kept

    def _write(self, method: str, body: Any) -> None:
        version = body["metadata"].get("resourceVersion", "0")
        if version != self.version or (method == "POST") != (not self.kept):
            raise ApiException(status=409, reason="Conflict")
        self.kept = {**body, "metadata": {**body["metadata"], "resourceVersion": str(int(version) + 1)}}

    @property
    def version(self) -> str:
        return str(self.kept["metadata"]["resourceVersion"]) if self.kept else "0"

    @property
    def spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.kept["spec"]
        return spec

    def lease(self, pace: Pace = PACE) -> Lease:
        return Lease(Cluster(self, "lifeboat", "tiny"), pace)  # type: ignore[arg-type]


def hear(_: str) -> None:
    """Nobody listens."""


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_names_its_holder_while_it_is_held_and_nobody_afterwards() -> None:
    api = Api()
    lease = api.lease()
    with lease.taken(hear):
        spec = api.spec
        assert spec["holderIdentity"] == lease.holder
        assert (spec["leaseDurationSeconds"], spec["leaseTransitions"]) == (1, 1)
        assert spec["acquireTime"] <= spec["renewTime"]
        wait_for(lambda: api.spec["renewTime"] > spec["renewTime"])
        assert api.spec["acquireTime"] == spec["acquireTime"]
    assert "holderIdentity" not in api.spec
    assert api.kept["kind"] == "Lease"
    assert {request.split()[0] for request in api.requests} == {"GET", "POST", "PUT"}
    assert {request.split()[1] for request in api.requests} == {PATH, f"{PATH}/tiny"}


def test_one_that_is_renewed_is_not_taken_and_its_holder_is_named() -> None:
    api = Api()
    first = api.lease()
    with first.taken(hear):
        with pytest.raises(LeaseError) as caught, api.lease().taken(hear):
            raise AssertionError("taken")
        assert str(caught.value) == f"another deployment is in progress: {first.holder} holds tiny"
        assert caught.value.holder == first.holder
        first.check()


def test_one_that_was_released_is_taken_at_once() -> None:
    api, said = Api(), list[str]()
    with api.lease().taken(hear):
        pass
    start = time.monotonic()
    with api.lease().taken(said.append):
        assert time.monotonic() - start < PACE.lease / 2
        assert api.spec["leaseTransitions"] == 2
    assert said == []


def test_a_dead_ones_is_taken_over_once_it_stood_still_for_its_own_duration() -> None:
    api, said = Api(), list[str]()
    dead = api.lease(Pace(poll=0.01, lease=2.0))
    dead._acquire(hear)
    start = time.monotonic()
    lease = api.lease()
    with lease.taken(said.append):
        assert 2.0 <= time.monotonic() - start < 4.0
        assert api.spec["holderIdentity"] == lease.holder
        with pytest.raises(LeaseError, match=f"in progress: {lease.holder} took this one over"):
            dead.check()
    assert said == [f"the rollout of {dead.holder} ended in the middle, it is taken over"]


def test_of_two_that_take_over_in_the_same_instant_one_is_refused() -> None:
    api = Api()
    api.lease()._acquire(hear)
    # Both have read the dead one's before either writes.
    both, writes = threading.Barrier(2, timeout=10), itertools.count()
    api.before_write = lambda: both.wait() if next(writes) < 2 else None
    outcomes = list[str]()

    def begin() -> None:
        try:
            with api.lease().taken(hear):
                outcomes.append("taken")
                wait_for(lambda: len(outcomes) == 2)
        except LeaseError:
            outcomes.append("refused")

    threads = [threading.Thread(target=begin) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused", "taken"]


def test_one_that_somebody_deleted_is_made_again() -> None:
    api = Api()
    lease = api.lease()
    with lease.taken(hear):
        with api.lock:
            api.kept = {}
        lease.check()
        assert api.spec["holderIdentity"] == lease.holder


def test_one_that_cannot_be_renewed_for_its_duration_ends_the_rollout() -> None:
    api, said = Api(), list[str]()
    lease = api.lease()
    with lease.taken(said.append):
        api.broken = True
        wait_for(lambda: lease._trouble is not None)
        api.broken = False
        with pytest.raises(
            DeployError, match=r"refused to show its Lease \(SeldonDeployment lifeboat/tiny\): Forbidden"
        ):
            lease.check()
        api.broken = True
    [words] = said
    assert words.startswith("the Lease of tiny could not be released, the next rollout will wait for it: the cluster")


def test_a_failed_renewal_that_comes_right_in_time_is_none() -> None:
    api = Api()
    lease = api.lease()
    with lease.taken(hear):
        api.broken, seen = True, len(api.requests)
        wait_for(lambda: len(api.requests) > seen)
        api.broken, before = False, api.spec["renewTime"]
        wait_for(lambda: api.spec["renewTime"] > before)
        lease.check()
