"""The images, built and run for real where there are a Docker engine and a base image."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.infra.images.engine import FOLDER, WRITABLE, ask, container, docker, image, inspect, shell_in, wait_for
from tests.infra.images.steps import Steps
from tests.ports import free_port

EACH = pytest.mark.parametrize("target", FOLDER)
# Kubeflow starts a step with a shell, and Seldon ends a model with one.
WITH_SHELL = {"preprocess", "train", "evaluate", "deploy", "components", "tracking", "model-server"}
MEGABYTE = 1_000_000


@EACH
def test_an_image_says_what_it_is_and_runs_as_nobody_in_particular(target):
    config = inspect(target)["Config"]
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in config["Labels"].items()}
    assert labels == {
        "licenses": "Apache-2.0", "revision": "tested", "title": f"lifeboat {target}", "vendor": "Lifeboat",
        "version": labels["version"],
    }  # fmt: skip
    assert config["User"] == "10001:10001"
    assert not [
        text for text in config["Env"] if re.search(r"cert|index|proxy|token|secret|password", text, re.IGNORECASE)
    ]


@EACH
def test_an_image_has_no_way_to_install_or_build_or_to_become_another_user(target):
    found = json.loads(
        shell_in(
            target,
            "import json, os, shutil, stat\n"
            "files = (os.path.join(place, name) for place, _, names in os.walk('/usr') for name in names)\n"
            "bits = stat.S_ISUID | stat.S_ISGID\n"
            "raised = [f for f in files if not os.path.islink(f) and os.stat(f).st_mode & bits]\n"
            "tools = [t for t in ('pip', 'pip3', 'uv', 'apt-get', 'perl', 'gcc', 'make', 'git', 'sh', 'bash')"
            " if shutil.which(t)]\n"
            "settings = os.path.exists('/etc/pip.conf')\n"
            "print(json.dumps({'raised': raised, 'tools': tools, 'settings': settings, 'user': os.getuid()}))",
        )
    )
    assert found["raised"] == []
    assert found["settings"] is False
    assert set(found["tools"]) <= ({"sh", "bash"} if target in WITH_SHELL else set())
    assert found["user"] == 10001


def test_the_model_server_is_small_and_holds_no_training_code():
    assert inspect("model-server")["Size"] < 250 * MEGABYTE
    modules = ["pandas", "sklearn", "mlflow", "kfp", "onnx", "lifeboat.usecases", "lifeboat.train", "pipelines"]
    script = (
        f"import importlib.util as u\nfor m in {modules}:\n try: f = u.find_spec(m)\n except ImportError: f = None\n"
    )
    assert shell_in("model-server", script + " if f: print(m)") == ""


def test_no_image_grew_out_of_hand():
    limits = {
        "model-server": 250,
        "explainer": 420,
        "retrain-trigger": 550,
        "drift-detector": 1150,
        "tracking": 1100,
        "components": 1300,
    }
    sizes = {target: inspect(target)["Size"] // MEGABYTE for target in limits}
    print(sizes)
    assert [target for target, limit in limits.items() if sizes[target] > limit] == []


def test_the_model_server_serves_what_the_train_step_made(bundle: Path):
    port, metrics = free_port(), free_port()
    golden = json.loads((bundle / "golden.json").read_text())[0]
    words = ("--bundle=/bundle", "--host=127.0.0.1", f"--port={port}", f"--metrics-port={metrics}")
    with container("model-server", *words, options=(f"--volume={bundle}:/bundle:ro", "--memory=512m")) as name:
        wait_for(f"http://127.0.0.1:{port}/ready")
        names, row = list(golden["row"]), list(golden["row"].values())
        answer = ask(f"http://127.0.0.1:{port}/api/v1.0/predictions", {"data": {"names": names, "ndarray": [row]}})
        assert answer["data"]["ndarray"][0] == pytest.approx(golden["probabilities"], abs=1e-5)
        assert "lifeboat_model_info" in wait_for(f"http://127.0.0.1:{metrics}/metrics")
        # As Seldon's default preStop hook, but shorter.
        docker("exec", name, "/bin/sh", "-c", "/bin/sleep 0.1")


def test_the_model_server_fetches_a_bundle_and_refuses_another(bundle: Path, tmp_path: Path):
    digest = json.loads((bundle / "bundle.json").read_text())["digest"]
    target = tmp_path / "bundle"
    target.mkdir(mode=0o777)
    tmp_path.chmod(0o755)
    target.chmod(0o777)

    def fetch(asked: str) -> int:
        store = f"--volume={bundle}:/store/bundles/titanic/{asked}:ro"
        settings = {"STORE": "/store", "USECASE": "titanic", "DIGEST": asked, "TARGET": "/bundle"}
        variables = [f"--env=LIFEBOAT_FETCH_{name}={text}" for name, text in settings.items()]
        words = ("run", "--rm", "--network=none", "--read-only", store, f"--volume={target}:/bundle", *variables)
        start = ("--entrypoint=python3", image("model-server"), "-m", "lifeboat.server.fetch")
        return docker(*words, *start, check=False).returncode

    assert fetch(digest) == 0
    assert (target / "model.onnx").read_bytes() == (bundle / "model.onnx").read_bytes()
    assert fetch("0" * 64) == 1


def test_the_drift_detector_judges_without_a_shell_on_a_read_only_root():
    port = free_port()
    words = ("--store=/var/lib/lifeboat/store", "--host=127.0.0.1", f"--port={port}")
    with container("drift-detector", *words, options=WRITABLE):
        wait_for(f"http://127.0.0.1:{port}/ready")
        assert "lifeboat_drift_judge_up 1" in wait_for(f"http://127.0.0.1:{port}/metrics")
    script = "import lifeboat.detector.drift_test, alibi_detect.cd\nprint(alibi_detect.__version__)"
    words = ("run", "--rm", "--network=none", "--read-only", *WRITABLE, "--entrypoint=python3", image("drift-detector"))
    assert docker(*words, "-c", script).stdout.strip() == "0.11.4"


def test_the_retrain_trigger_compiles_the_pipeline_and_says_that_kubeflow_is_away(tmp_path: Path):
    port, token = free_port(), tmp_path / "token"
    token.write_text("a-token-of-this-test-0123456789")
    token.chmod(0o644)
    tmp_path.chmod(0o755)
    settings = {
        "TRIGGER_BACKEND": "kubeflow", "TRIGGER_HOST": "127.0.0.1", "TRIGGER_PORT": port,
        "TRIGGER_TOKEN_FILE": "/token", "KFP_HOST": "http://127.0.0.1:9",
    }  # fmt: skip
    variables = [f"--env=LIFEBOAT_{name}={text}" for name, text in settings.items()]
    with container("retrain-trigger", options=(*WRITABLE, *variables, f"--volume={token}:/token:ro")):
        wait_for(f"http://127.0.0.1:{port}/live")
        wish = {"reason": "a test", "now": True}
        answer = ask(f"http://127.0.0.1:{port}/retrain", wish, {"Authorization": f"Bearer {token.read_text()}"})
    assert answer["result"] == "failed"
    assert "127.0.0.1:9 did not take the run" in answer["why"]
    script = "from pathlib import Path\nfrom lifeboat.pipeline.compile import compile_pipeline\n"
    words = (
        "run",
        "--rm",
        "--network=none",
        "--read-only",
        *WRITABLE,
        "--entrypoint=python3",
        image("retrain-trigger"),
    )
    compiled = docker(
        *words, "-c", script + "compile_pipeline(p := Path('/tmp/p.yaml'), 'x@y')\nprint(p.read_text())"
    ).stdout
    assert compiled.count("image: x@y") == 5


def test_mlflow_serves_with_the_flags_of_its_manifest():
    port = free_port()
    words = (
        "server", "--host=127.0.0.1", f"--port={port}", "--workers=1", "--serve-artifacts",
        "--artifacts-destination=/tmp/artifacts", "--allowed-hosts=localhost:*,127.0.0.1:*",
    )  # fmt: skip
    options = ("--tmpfs=/tmp", "--env=MLFLOW_BACKEND_STORE_URI=sqlite:////tmp/mlflow.db")
    with container("tracking", *words, options=options):
        assert wait_for(f"http://127.0.0.1:{port}/health") == "OK"
        search = f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/search?max_results=1"
        assert ask(search)["experiments"][0]["name"] == "Default"
        assert "Invalid Host" in str(ask(search, headers={"Host": "elsewhere.example"}))
    assert shell_in("tracking", "import psycopg2, boto3, google.cloud.storage") == ""


def test_the_steps_hand_on_to_one_another_and_the_gate_is_asked(steps: Steps, judged: dict[str, Any]):
    assert judged["parameterValues"]["Output"] is True
    assert json.loads((steps.folder / "verdict").read_text())["passed"] is True
    assert "Titanic" in (steps.folder / "card").read_text()


@pytest.mark.usefixtures("judged")
def test_a_step_runs_from_the_one_image_of_the_compiled_pipeline_as_well(steps: Steps):
    steps.run("keep", image("components"))
    steps.run("preprocess", image("components"), usecase="titanic", data="", labelled=False)


def test_the_deploy_step_starts_from_its_own_image():
    assert shell_in("deploy", "import lifeboat.deploy.step, lifeboat.deploy.component") == ""
    words = ("run", "--rm", "--network=none", "--read-only", "--tmpfs=/tmp", image("deploy"), "--help")
    assert "--component_module_path" in docker(*words).stdout
