"""The compiled pipeline, as Kubeflow Pipelines gets it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lifeboat.config.errors import StorageError
from lifeboat.config.images import COMPONENTS_IMAGE
from lifeboat.pipeline import compile as compiling
from lifeboat.pipeline.compile import compile_pipeline

GOLDEN = Path(__file__).parent / "golden.yaml"
STEPS = {"preprocess", "train", "evaluate", "deploy", "keep"}


def read(path: Path) -> list[Any]:
    """Both documents, without the SDK's version: another patch level of it is no change of ours."""
    documents = list(yaml.safe_load_all(path.read_text()))
    documents[0]["sdkVersion"] = "any"
    return documents


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    target = tmp_path_factory.mktemp("compiled") / "pipeline.yaml"
    compile_pipeline(target)
    return read(target)


@pytest.fixture(scope="module")
def executors(documents: list[Any]) -> dict[str, Any]:
    found = documents[0]["deploymentSpec"]["executors"]
    return {name.removeprefix("exec-"): executor["container"] for name, executor in found.items()}


@pytest.fixture(scope="module")
def tasks(documents: list[Any]) -> dict[str, Any]:
    """The tasks that are a step, wherever in the graph they stand."""
    graphs = [documents[0]["root"], *documents[0]["components"].values()]
    every = [item for graph in graphs for item in graph.get("dag", {}).get("tasks", {}).items()]
    return {name: task for name, task in every if name in STEPS}


def test_the_compiled_pipeline_is_the_golden_one(documents: list[Any]) -> None:
    assert documents == read(GOLDEN), (
        "the compiled pipeline differs from tests/pipeline/golden.yaml; if that is meant, renew it with: "
        "lifeboat compile tests/pipeline/golden.yaml"
    )


def test_the_golden_pipeline_names_no_place_on_a_machine() -> None:
    text = GOLDEN.read_text()
    assert str(Path(__file__).resolve().parents[2]) not in text
    assert not re.search(r"/(home|root|tmp|Users)/|site-packages", text)


def test_every_step_is_a_task_and_an_executor(tasks: dict[str, Any], executors: dict[str, Any]) -> None:
    assert set(tasks) == set(executors) == STEPS


def test_a_local_runs_kfp_compiles_the_same_without_the_clients(tmp_path: Path) -> None:
    target = tmp_path / "pipeline.yaml"
    done = subprocess.run([sys.executable, "-c", WITHOUT_CLIENTS, str(target)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "False False\nTrue True\n"), done.stderr
    assert read(target) == read(GOLDEN)


WITHOUT_CLIENTS = """
import sys
from pathlib import Path
from lifeboat.pipeline.kfp_import import import_kfp
import_kfp()
from lifeboat.pipeline.compile import compile_pipeline
compile_pipeline(Path(sys.argv[1]))
print("kubernetes" in sys.modules, "kfp.client" in sys.modules)
# Whoever needs one of them gets it.
from kfp import dsl, kubernetes
from kfp.client import Client

@dsl.pipeline
def another():
    step = dsl.container_component(lambda: dsl.ContainerSpec(image="any"))()
    rule = {"key": "zone", "operator": "In", "values": ["a"]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}
    kubernetes.add_node_affinity_json(step, {"requiredDuringSchedulingIgnoredDuringExecution": terms})

print("kubernetes" in sys.modules, callable(Client))
"""


def test_no_step_is_taken_from_the_cache(tasks: dict[str, Any]) -> None:
    assert not [name for name, task in tasks.items() if task["cachingOptions"].get("enableCache")]


def test_all_of_a_steps_memory_is_set_aside_and_some_of_its_cpu(executors: dict[str, Any]) -> None:
    for name, container in executors.items():
        asked = container["resources"]
        assert asked["resourceMemoryRequest"] == asked["resourceMemoryLimit"], name
        assert cores(asked["resourceCpuRequest"]) < cores(asked["resourceCpuLimit"]), name


def cores(quantity: str) -> float:
    return float(quantity.removesuffix("m")) / (1000 if quantity.endswith("m") else 1)


@pytest.fixture(scope="module")
def seconds(documents: list[Any]) -> dict[str, int]:
    """The time-out of one try of each step."""
    platform = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return {name.removeprefix("exec-"): int(executor["activeDeadlineSeconds"]) for name, executor in platform.items()}


def test_every_task_has_a_timeout_and_only_deploying_is_tried_once(
    seconds: dict[str, int], tasks: dict[str, Any]
) -> None:
    assert set(seconds) == STEPS
    assert all(300 <= limit <= 7200 for limit in seconds.values())
    # A task without a policy would be tried again by the defaults of Kubeflow's Argo.
    tries = {name: task["retryPolicy"].get("maxRetryCount", 0) for name, task in tasks.items()}
    assert {name for name, count in tries.items() if count == 0} == {"deploy"}


def test_each_try_of_a_task_may_last_until_its_timeout(seconds: dict[str, int], tasks: dict[str, Any]) -> None:
    """Argo counts `backoffMaxDuration` from the first start: then no other try begins, and one that runs is ended."""
    for name, task in tasks.items():
        policy = task["retryPolicy"]
        count, pause = policy.get("maxRetryCount", 0), int(policy["backoffDuration"].rstrip("s"))
        pauses = sum(pause * policy["backoffFactor"] ** past for past in range(count))
        assert int(policy["backoffMaxDuration"].rstrip("s")) > (count + 1) * seconds[name] + pauses, name


def test_deploy_hangs_on_the_gate_and_keep_on_its_opposite(documents: list[Any]) -> None:
    components = documents[0]["components"]
    graphs = [documents[0]["root"], *components.values()]
    branches = [task for graph in graphs for task in graph.get("dag", {}).get("tasks", {}).values()]
    conditions = {
        name: task["triggerPolicy"]["condition"]
        for task in branches
        if "triggerPolicy" in task
        for name in components[task["componentRef"]["name"]]["dag"]["tasks"]
    }
    gate = "inputs.parameter_values['pipelinechannel--evaluate-Output'] == true"
    assert conditions == {"deploy": gate, "keep": f"!({gate})"}


def test_no_step_installs_packages(executors: dict[str, Any]) -> None:
    for name, container in executors.items():
        assert not re.search(r"\bpip\b|ensurepip", " ".join(container["command"])), name


def test_the_image_lands_in_each_executor(tmp_path: Path, executors: dict[str, Any]) -> None:
    assert {container["image"] for container in executors.values()} == {COMPONENTS_IMAGE}
    target = tmp_path / "other.yaml"
    compile_pipeline(target, "registry.example/lifeboat@sha256:0123")
    found = read(target)[0]["deploymentSpec"]["executors"].values()
    assert {executor["container"]["image"] for executor in found} == {"registry.example/lifeboat@sha256:0123"}
    assert COMPONENTS_IMAGE not in target.read_text()


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "pipeline.yaml"
    target.write_text("old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(compiling, "_filled_in", fail)
    with pytest.raises(StorageError, match=r"pipeline\.yaml cannot be written: No space left on device"):
        compile_pipeline(target)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_hidden_file_of_the_same_name_is_left_alone(tmp_path: Path) -> None:
    hidden = tmp_path / ".pipeline.yaml"
    hidden.write_text("mine")
    compile_pipeline(tmp_path / "pipeline.yaml")
    assert hidden.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".pipeline.yaml", "pipeline.yaml"]
