"""What every run on Kubeflow gets by default, on any cluster and on Google Cloud."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from tests.infra.kustomize.build import KUSTOMIZE, ROOT

ANYWHERE = KUSTOMIZE / "kubeflow-pipelines"
GOOGLE = ROOT / "terraform" / "platform" / "kfp"


def test_a_step_is_tried_again_where_its_pod_was_lost_and_a_run_never():
    """OnError would repeat the graphs around a lost step as well, and with them a deploy that is tried once."""
    wanted = {"retryStrategy": {"limit": "2", "retryPolicy": "OnTransientError"}}
    assert defaults_of_runs(ANYWHERE, "runs.yaml")["templateDefaults"] == wanted


def test_a_run_ends_but_not_before_its_steps_may_have_been_tried_as_often_as_they_say():
    """One that gets no node would wait for ever, and every later run of its schedule with it."""
    seconds = re.findall(r"backoffMaxDuration: (\d+)s", (ROOT / "tests" / "pipeline" / "golden.yaml").read_text())
    assert len(seconds) == 5
    assert sum(map(int, seconds)) < defaults_of_runs(ANYWHERE, "runs.yaml")["activeDeadlineSeconds"] <= 86_400


def test_on_google_cloud_runs_differ_in_their_nodes_only():
    google = defaults_of_runs(GOOGLE, "settings.yaml")
    assert google.pop("nodeSelector") == {"lifeboat.dev/pool": "pipelines"}
    assert [item["key"] for item in google.pop("tolerations")] == ["lifeboat.dev/pool"]
    assert google == defaults_of_runs(ANYWHERE, "runs.yaml")


def defaults_of_runs(folder: Path, patch: str) -> dict[str, Any]:
    """What Argo's controller sets in every workflow, by a patch that the folder's overlay applies."""
    assert {"path": patch} in yaml.safe_load((folder / "kustomization.yaml").read_text())["patches"]
    documents = yaml.safe_load_all((folder / patch).read_text())
    [found] = [item for item in documents if item["metadata"]["name"] == "workflow-controller-configmap"]
    assert found["metadata"]["namespace"] == "kubeflow"
    defaults: dict[str, Any] = yaml.safe_load(found["data"]["workflowDefaults"])["spec"]
    return defaults
