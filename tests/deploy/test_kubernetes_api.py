"""What becomes of a Kubernetes API that is away, in trouble, or says no."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import MaxRetryError

from lifeboat.config.errors import DeployError
from lifeboat.config.settings import Settings
from lifeboat.deploy.kubernetes import cluster
from lifeboat.deploy.kubernetes.cluster import Cluster, ConflictError
from lifeboat.deploy.targets import make_target


def refusal(status: int, message: str = "no") -> ApiException:
    error = ApiException(status=status, reason="Refused")
    error.body = json.dumps({"message": message})
    return error


class Answers:
    """A client that gives, or raises, one thing after the other."""

    def __init__(self, *things: Any) -> None:
        self.things = list(things)

    def call_api(self, *_: Any, **__: Any) -> Any:
        thing = self.things.pop(0)
        if isinstance(thing, Exception):
            raise thing
        return thing


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PAUSE", 0.0)


def test_a_reading_is_tried_again_while_the_api_server_is_in_trouble() -> None:
    answers = Answers(refusal(503), MaxRetryError(None, "/", OSError("refused")), {"kind": "it"})  # type: ignore[arg-type]
    assert Cluster(answers, "lifeboat", "tiny").read() == {"kind": "it"}


def test_an_api_that_stays_away_is_named() -> None:
    away = [OSError("connection refused")] * cluster.TRIES
    with pytest.raises(DeployError, match="the Kubernetes API cannot be reached: connection refused"):
        Cluster(Answers(*away), "lifeboat", "tiny").read()


def test_a_writing_is_not_tried_twice() -> None:
    answers = Answers(refusal(503), {"kind": "never asked for"})
    with pytest.raises(
        DeployError, match=r"the cluster refused to change it \(SeldonDeployment lifeboat/tiny\): 503 no"
    ):
        Cluster(answers, "lifeboat", "tiny").apply({})
    assert len(answers.things) == 1


def test_what_is_not_there_is_none_and_what_is_forbidden_is_an_error() -> None:
    assert Cluster(Answers(refusal(404)), "lifeboat", "tiny").read() is None
    with pytest.raises(DeployError, match="refused to list the pods .*: 403 pods is forbidden"):
        Cluster(Answers(refusal(403, "pods is forbidden")), "lifeboat", "tiny").pods()


def test_a_conflict_is_an_error_of_its_own() -> None:
    with pytest.raises(ConflictError, match="changed by someone else"):
        Cluster(Answers(refusal(409)), "lifeboat", "tiny").apply({})


def test_a_log_that_cannot_be_read_says_so() -> None:
    words = Cluster(Answers(refusal(500, "no kubelet")), "lifeboat", "tiny").last_words("tiny-0", "tiny")
    assert words == "its log cannot be read: 500 no kubelet"


def test_without_a_cluster_the_target_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text("")
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(file))
    with pytest.raises(DeployError, match=r"no cluster: neither inside of one nor a usable \$KUBECONFIG"):
        make_target("kubernetes", Settings())
