"""The trigger with its token in a Secret that Kubernetes mounts."""

from __future__ import annotations

from .world import World


def test_a_token_that_kubernetes_mounts_is_named_where_it_stays(world: World) -> None:
    """A mounted Secret is a link to a folder of its own date, which goes when the Secret changes."""
    mount = world.folder / "secret"
    (mount / "..2026_01").mkdir(parents=True)
    (mount / "..2026_01" / "token").write_text("0123456789abcdef0123456789abcdef")
    (mount / "..data").symlink_to("..2026_01")
    (mount / "token").symlink_to("..data/token")
    with world.trigger(token_file=mount / "token") as trigger:
        assert trigger.token_file == mount / "token"
        assert trigger.ask("GET", "/runs")[0] == 200
