"""The contract of every target, on Kubernetes: with weights in a mesh, and without one."""

from __future__ import annotations

import pytest

from tests.cluster.conftest import ClusterWorld
from tests.deploy.contract import *  # noqa: F403  # every test of the contract


@pytest.fixture(params=["canary", "switch"])
def world(request: pytest.FixtureRequest, world: ClusterWorld) -> ClusterWorld:
    mesh = {"ingress_url": ""} if request.param == "switch" else {}
    return world.judged_by(at_once=True, rollout=request.param, **mesh)
