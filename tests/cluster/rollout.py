"""A deploy step as a process of its own, for a test to kill: `python -m tests.cluster.rollout WORLD.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from lifeboat.config.settings import Settings
from lifeboat.deploy.kubernetes.cluster import connect
from lifeboat.deploy.kubernetes.plan import RolloutPlan
from lifeboat.deploy.kubernetes.target import KubernetesTarget
from lifeboat.deploy.step import deploy
from lifeboat.registry.registry import Registry
from lifeboat.system.progress import say
from tests.cluster.apiserver import Server
from tests.cluster.conftest import PACE, configured


def main(file: Path) -> None:
    """Deploys what the file says."""
    given = json.loads(file.read_text())
    settings = Settings(**given["settings"])
    server = Server(given["url"], Path(given["certificate"]))
    api = configured(server, given["token"]) if given["token"] else connect()
    target = KubernetesTarget(settings, RolloutPlan.from_settings(settings, PACE), api)
    deploy(Path(given["bundle"]), Path(given["verdict"]), Registry(settings), target, say)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
