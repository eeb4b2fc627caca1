"""What every run on Kubeflow gets by default, on any cluster and on Google Cloud."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.infra.kustomize.build import KUSTOMIZE, ROOT

ANYWHERE = KUSTOMIZE / "kubeflow-pipelines"
GOOGLE = ROOT / "terraform" / "platform" / "kfp"


def test_a_step_is_tried_again_where_its_pod_was_lost_and_a_run_never():
    """OnError would repeat the graphs around a lost step as well, and with them a deploy that is tried once."""
    wanted = {"retryStrategy": {"limit": "2", "retryPolicy": "OnTransientError"}}
    assert defaults_of_runs(ANYWHERE, "retries.yaml")["templateDefaults"] == wanted


def test_on_google_cloud_runs_differ_in_their_nodes_only():
    google = defaults_of_runs(GOOGLE, "settings.yaml")
    assert google.pop("nodeSelector") == {"lifeboat.dev/pool": "pipelines"}
    assert [item["key"] for item in google.pop("tolerations")] == ["lifeboat.dev/pool"]
    assert google == defaults_of_runs(ANYWHERE, "retries.yaml")


def defaults_of_runs(folder: Path, patch: str) -> dict[str, Any]:
    """What Argo's controller sets in every workflow, by a patch that the folder's overlay applies."""
    assert {"path": patch} in yaml.safe_load((folder / "kustomization.yaml").read_text())["patches"]
    documents = yaml.safe_load_all((folder / patch).read_text())
    [found] = [item for item in documents if item["metadata"]["name"] == "workflow-controller-configmap"]
    assert found["metadata"]["namespace"] == "kubeflow"
    defaults: dict[str, Any] = yaml.safe_load(found["data"]["workflowDefaults"])["spec"]
    return defaults
