"""Deploying to the laptop's target: the contract, and what only a laptop has."""

from __future__ import annotations

import pytest

from lifeboat.config.errors import DeployError
from lifeboat.deploy.step import serve_champion
from lifeboat.deploy.targets import make_target
from lifeboat.registry.sqlite_registry import read_champion
from lifeboat.services.status import describe_home
from lifeboat.supervisor.control import find_supervisor
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


def test_status_says_where_the_registrys_champion_is_not_what_serves(world: World) -> None:
    world.ship(0.1)
    assert read_champion(world.settings.tracking, "tiny") == "1"
    assert read_champion(world.settings.tracking, "other") is None
    [line] = describe_home(world.settings)["tiny"]
    assert line.startswith("version 1 (bundle ")
    second = world.bundle(0.2)
    world.judged(second, champion=world.champion)
    version = world.registry.find("tiny", second.digest)
    assert version is not None
    world.registry.promote(version, expected=world.champion)  # as another machine with this registry would
    assert describe_home(world.settings)["tiny"][1:] == ["the champion in the registry is version 2"]


def test_status_says_why_the_champion_cannot_be_read(world: World) -> None:
    world.ship(0.1)
    (world.settings.home_path / "mlflow.db").write_text("no database, and long enough to be seen as none" * 100)
    assert describe_home(world.settings)["tiny"][1:] == [
        "the champion in the registry is unknown: file is not a database"
    ]


def test_an_unknown_target_is_named(world: World) -> None:
    with pytest.raises(DeployError, match="no target 'moon'; there are: local, kubernetes"):
        make_target("moon", world.settings)
