"""Deploying to the laptop's target: the contract, and what only a laptop has."""

from __future__ import annotations

import pytest

from components.core.errors import DeployError
from components.deploy.step import serve_champion
from components.deploy.targets import make_target
from serving.control import find_supervisor
from tests.deploy.conftest import World
from tests.deploy.contract import *  # noqa: F403  # every test of the contract


def test_the_champion_is_served_again_after_a_stop(world: World) -> None:
    bundle = world.ship(0.1)
    control = find_supervisor(world.settings.serving_state("tiny"))
    assert control is not None
    with control:
        control.stop()
    assert world.serving is None
    shipped = serve_champion("tiny", world.registry, world.target, lambda _: None)
    assert shipped is not None
    assert world.serving == bundle.digest


def test_an_unknown_target_is_named(world: World) -> None:
    with pytest.raises(DeployError, match="no target 'moon'; there are: local, kubernetes"):
        make_target("moon", world.settings)
