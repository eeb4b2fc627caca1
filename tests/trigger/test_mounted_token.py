"""The trigger with its token in a Secret that Kubernetes mounts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.trigger.world import World


@pytest.fixture
def mount(world: World) -> Path:
    """A mounted Secret: a link to a folder of its own date, which goes when the Secret changes."""
    mount = world.folder / "secret"
    (mount / "..2026_01").mkdir(parents=True)
    (mount / "..2026_01" / "token").write_text("0123456789abcdef0123456789abcdef")
    (mount / "..data").symlink_to("..2026_01")
    (mount / "token").symlink_to("..data/token")
    return mount


def change(mount: Path, token: str) -> None:
    """As the kubelet does it."""
    (mount / "..2026_02").mkdir()
    (mount / "..2026_02" / "token").write_text(token)
    (mount / "..data_tmp").symlink_to("..2026_02")
    (mount / "..data_tmp").replace(mount / "..data")
    shutil.rmtree(mount / "..2026_01")


def test_a_token_that_kubernetes_mounts_is_named_where_it_stays(world: World, mount: Path) -> None:
    with world.trigger(token_file=mount / "token") as trigger:
        assert trigger.token_file == mount / "token"
        assert trigger.ask("GET", "/runs")[0] == 200


def test_a_token_that_changes_counts_at_once(world: World, mount: Path) -> None:
    with world.trigger(token_file=mount / "token") as trigger:
        before = trigger.token
        change(mount, "fedcba9876543210fedcba9876543210\n")
        assert trigger.ask("POST", "/retrain", b"{}")[0] == 401
        trigger.token = "fedcba9876543210fedcba9876543210"
        assert trigger.retrain(reason="new data")[0] == 200
    assert before not in trigger.errors.read_text()


@pytest.mark.parametrize("token", ["", "two words"])
def test_what_is_no_token_does_not_replace_one(world: World, mount: Path, token: str) -> None:
    with world.trigger(token_file=mount / "token") as trigger:
        change(mount, token)
        for given in (token, ""):
            assert trigger.ask("POST", "/retrain", b"{}", {"Authorization": f"Bearer {given}"})[0] == 401
        assert trigger.retrain(reason="new data")[0] == 200
    assert f"token file {mount / 'token'} " in trigger.errors.read_text()
    assert "the one before still counts" in trigger.errors.read_text()
