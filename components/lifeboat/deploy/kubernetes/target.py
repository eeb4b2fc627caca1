"""The target `kubernetes`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from kubernetes.client import ApiClient

from lifeboat.config.errors import DeployError
from lifeboat.config.settings import Settings
from lifeboat.deploy.kubernetes.cluster import Cluster
from lifeboat.deploy.kubernetes.manifest import TEMPLATE
from lifeboat.deploy.kubernetes.plan import RolloutPlan
from lifeboat.deploy.kubernetes.prometheus import Prometheus
from lifeboat.deploy.kubernetes.rollout import Rollout
from lifeboat.deploy.kubernetes.sigterm import exit_on_sigterm
from lifeboat.deploy.timeline import Say
from lifeboat.model.bundle import Bundle
from lifeboat.registry.versions import Version


class KubernetesTarget:
    """Serves each use case as a SeldonDeployment.

    Args:
        settings: names, URLs.
        plan: how a version takes over.
        api: a client of the cluster.
    """

    def __init__(self, settings: Settings, plan: RolloutPlan, api: ApiClient) -> None:
        self._settings, self._plan, self._api = settings, plan, api

    def turn(self, name: str, say: Say) -> AbstractContextManager[None]:  # noqa: ARG002  # a target's signature
        """Nobody waits here: a rollout has its SeldonDeployment's Lease, and a second one is refused."""
        return nullcontext()

    def roll_out(self, bundle: Bundle, version: Version, commit: Callable[[], None], say: Say) -> str:
        """As `lifeboat.deploy.step.Target` says."""
        chosen = self._settings
        cluster = Cluster(self._api, chosen.namespace, chosen.deployment or version.name)
        template = cluster.read(TEMPLATE)
        if template is None:
            raise DeployError(
                f"there is no SeldonDeployment {TEMPLATE} in namespace {chosen.namespace}: "
                "apply kustomize/base/model, or an overlay with it, first"
            )

        def place(predictor: str) -> str:
            names = {"deployment": cluster.name, "predictor": predictor, "namespace": cluster.namespace}
            return chosen.predictor_url.format(**names)

        prometheus = Prometheus(chosen.prometheus_url)
        serving = Rollout(cluster, template, self._plan, prometheus, place, chosen.server_image, chosen.token)
        with exit_on_sigterm():
            name = serving.run(bundle, version, commit, say)
        if chosen.ingress_url:
            return f"{chosen.ingress_url.rstrip('/')}/seldon/{cluster.namespace}/{cluster.name}"
        return place(name)
