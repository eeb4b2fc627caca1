"""A deploy step as a process of its own, for a test to kill: `python -m tests.cluster.rollout WORLD.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from components.core.progress import say
from components.core.registry import Registry
from components.core.settings import Settings
from components.deploy.kubernetes.cluster import connect
from components.deploy.kubernetes.plan import Plan
from components.deploy.kubernetes.target import KubernetesTarget
from components.deploy.step import deploy
from tests.cluster.apiserver import Server
from tests.cluster.conftest import PACE, configured


def main(file: Path) -> None:
    """Deploys what the file says."""
    given = json.loads(file.read_text())
    settings = Settings(**given["settings"])
    server = Server(given["url"], Path(given["certificate"]))
    api = configured(server, given["token"]) if given["token"] else connect()
    target = KubernetesTarget(settings, Plan.from_settings(settings, PACE), api)
    deploy(Path(given["bundle"]), Path(given["verdict"]), Registry(settings), target, say)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
