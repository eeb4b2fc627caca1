"""Composing a SeldonDeployment from the template that stands in kustomize/base/model, and reading it back."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from lifeboat.config.errors import DeployError, SettingsError
from lifeboat.config.settings import Settings
from lifeboat.deploy.kubernetes import manifest
from lifeboat.deploy.kubernetes.plan import CANARY, SHADOW, SWITCH, RolloutPlan
from lifeboat.deploy.kubernetes.waiting import is_rolled_out
from lifeboat.deploy.timeline import RolloutTimeline
from lifeboat.registry.versions import Version
from tests.documents import read_all

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE: dict[str, Any] = yaml.safe_load((ROOT / "kustomize/base/model/model-template.yaml").read_text())
[CRD] = read_all(next((ROOT / "tests/infra/crds").glob("*.yaml")).read_text())
FIRST, SECOND = Version("titanic", "1", "a" * 64, "r"), Version("titanic", "2", "b" * 64, "r")


def environment(predictor: manifest.Predictor) -> dict[str, str]:
    spec = predictor.document["componentSpecs"][0]["spec"]
    boxes = [*spec["initContainers"], *spec["containers"]]
    return {entry["name"]: entry["value"] for box in boxes for entry in box["env"] if "value" in entry}


def both() -> tuple[manifest.Predictor, manifest.Predictor]:
    blue = manifest.predictor(TEMPLATE, "blue", FIRST).with_traffic(75)
    return blue, manifest.predictor(TEMPLATE, "green", SECOND).with_traffic(25)


def live() -> dict[str, Any]:
    notes = {manifest.CHAMPION: FIRST.digest, manifest.CHALLENGER: SECOND.digest}
    return manifest.compose(TEMPLATE, "titanic", list(both()), notes)


def test_a_predictor_is_the_template_with_the_version_set() -> None:
    made = manifest.predictor(TEMPLATE, "green", SECOND, "registry/server@sha256:1")
    assert (made.name, made.digest, made.version) == ("green", SECOND.digest, "2")
    given = environment(made)
    assert given["LIFEBOAT_FETCH_USECASE"] == "titanic"
    assert given["LIFEBOAT_FETCH_DIGEST"] == SECOND.digest
    assert given["LIFEBOAT_SERVER_MODEL_VERSION"] == "2"
    spec = made.document["componentSpecs"][0]["spec"]
    assert {box["image"] for box in (*spec["initContainers"], *spec["containers"])} == {"registry/server@sha256:1"}
    assert made.document["graph"]["name"] == spec["containers"][0]["name"] == "titanic"


def test_what_is_composed_is_what_the_operators_crd_takes() -> None:
    version = next(found for found in CRD["spec"]["versions"] if found["name"] == "v1")
    jsonschema.validate(live(), version["schema"]["openAPIV3Schema"])
    assert manifest.CONTROLLER not in live()["metadata"]["labels"]


def test_the_template_itself_is_left_as_it_was() -> None:
    before = copy.deepcopy(TEMPLATE)
    live()
    assert before == TEMPLATE


def test_a_template_without_the_variables_is_refused() -> None:
    bare = copy.deepcopy(TEMPLATE)
    for box in bare["spec"]["predictors"][0]["componentSpecs"][0]["spec"]["containers"]:
        box["env"] = []
    with pytest.raises(DeployError, match="has no environment variable LIFEBOAT_SERVER_MODEL_VERSION to set"):
        manifest.predictor(bare, "green", SECOND)


def test_the_state_is_read_back() -> None:
    found = manifest.champion(live())
    left = manifest.left_behind(live(), SECOND.digest)
    assert found is not None
    assert left is not None
    assert (found.name, found.traffic, left.name, left.traffic) == ("blue", 75, "green", 25)
    assert manifest.left_behind(live(), "c" * 64) is None


def test_nothing_deployed_has_no_champion() -> None:
    assert manifest.champion(None) is None
    assert manifest.champion(manifest.compose(TEMPLATE, "titanic", [both()[0]], {manifest.CHAMPION: ""})) is None
    foreign = manifest.compose(TEMPLATE, "titanic", [manifest.Predictor({"name": "blue"})], {})
    assert manifest.champion(foreign) is None


def test_traffic_moves_without_touching_a_pod() -> None:
    blue, _ = both()
    moved = blue.with_traffic(0, shadow=True)
    assert moved.document["shadow"] is True
    assert "traffic" not in moved.document
    assert moved.with_traffic(75).document == blue.document


def test_a_predictor_asleep_has_no_pods_and_nothing_that_wakes_it() -> None:
    blue, _ = both()
    blue.document["componentSpecs"][0]["hpaSpec"] = {"maxReplicas": 3}
    asleep = blue.asleep().document
    assert asleep["replicas"] == 0
    assert "hpaSpec" not in asleep["componentSpecs"][0]


def test_a_version_comes_up_with_its_replicas_and_no_autoscaler() -> None:
    blue, _ = both()
    scaled = copy.deepcopy(blue.document)
    scaled["componentSpecs"][0]["hpaSpec"] = {"maxReplicas": 3}
    steady = manifest.Predictor(scaled).steady()
    assert steady.document == blue.document
    assert steady.is_awake
    assert not steady.asleep().is_awake


def test_a_challenger_has_no_disruption_budget_until_it_is_the_champion() -> None:
    blue, _ = both()
    challenger = blue.unguarded()
    assert "pdbSpec" not in challenger.document["componentSpecs"][0]
    assert challenger.guarded(TEMPLATE).document == blue.document


def test_what_was_left_without_traffic_is_made_anew() -> None:
    document = live()
    green = document["spec"]["predictors"][1]
    green["traffic"] = 0
    assert manifest.left_behind(document, SECOND.digest) is None
    document["spec"]["predictors"][1] = manifest.Predictor(green).with_traffic(0, shadow=True).document
    assert manifest.left_behind(document, SECOND.digest) is not None


def deployment(**status: int) -> dict[str, Any]:
    return {"metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": status}


def test_a_deployment_is_rolled_out_when_all_of_its_newest_state_and_nothing_else_is_up() -> None:
    done = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
    assert is_rolled_out(deployment(**done))
    for key, value in (("observedGeneration", 1), ("replicas", 3), ("updatedReplicas", 1), ("availableReplicas", 1)):
        assert not is_rolled_out(deployment(**{**done, key: value})), key
    assert not is_rolled_out(deployment())


def test_a_plan_comes_from_the_settings() -> None:
    plan = RolloutPlan.from_settings(Settings())
    assert (plan.mode, plan.steps, plan.limits.requests) == (CANARY, (10, 25, 50), 200)
    assert plan.at_once().steps == ()
    assert RolloutPlan.from_settings(Settings(rollout=SHADOW)).at_once().mode == CANARY
    assert RolloutPlan.from_settings(Settings(rollout=SWITCH)).at_once().mode == SWITCH


@pytest.mark.parametrize("steps", ["", "ten", "50,25", "10,10", "0,50", "50,100"])
def test_steps_that_do_not_rise_to_less_than_all_are_refused(steps: str) -> None:
    with pytest.raises(SettingsError, match="LIFEBOAT_ROLLOUT_STEPS is"):
        RolloutPlan.from_settings(Settings(rollout_steps=steps))


def test_an_unknown_rollout_is_refused() -> None:
    with pytest.raises(SettingsError, match="LIFEBOAT_ROLLOUT is 'bold'; there are canary, shadow, switch"):
        RolloutPlan.from_settings(Settings(rollout="bold"))


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (DeployError("not enough traffic"), "failed: not enough traffic"),
        (ValueError(), "failed: ValueError"),
        (SystemExit(143), "failed: it was ended"),
    ],
)
def test_a_timeline_is_kept_whether_it_went_well_or_not(error: BaseException, outcome: str) -> None:
    said: list[str] = []
    kept: list[tuple[str, str]] = []

    def fail() -> None:
        with RolloutTimeline("Rollout", said.append, lambda *found: kept.append(found)) as course:
            course.note("5 < 6 requests")
            raise error

    with pytest.raises(type(error)):
        fail()
    [(page, ended)] = kept
    assert ended == outcome
    assert said == ["5 < 6 requests"]
    assert "5 &lt; 6 requests" in page
    assert '<tr class="failed">' in page
    assert "What was measured" not in page
    assert outcome in page
