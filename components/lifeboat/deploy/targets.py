"""The places where models are served, by name."""

from __future__ import annotations

from lifeboat.config.errors import DeployError
from lifeboat.config.settings import Settings
from lifeboat.deploy.step import Target

NAMES = ("local", "kubernetes")


def make_target(name: str, settings: Settings, *, at_once: bool = False) -> Target:
    """The target of a name; each imports only its own libraries.

    Args:
        name: local or kubernetes.
        settings: of the target.
        at_once: for a version that served before: without a canary's steps.

    Raises:
        DeployError: there is no such target, or no cluster.
        SettingsError: a setting of the rollout has no valid value.
    """
    if name == "local":
        from lifeboat.deploy.local import LocalTarget

        return LocalTarget(settings)
    if name == "kubernetes":
        from lifeboat.deploy.kubernetes.cluster import connect
        from lifeboat.deploy.kubernetes.plan import RolloutPlan
        from lifeboat.deploy.kubernetes.target import KubernetesTarget

        plan = RolloutPlan.from_settings(settings)
        return KubernetesTarget(settings, plan.at_once() if at_once else plan, connect())
    raise DeployError(f"no target {name!r}; there are: {', '.join(NAMES)}")
