"""The scripts around Terraform: their dry runs, what they refuse, and a whole run with stand-ins for every tool.

No cloud is reached. That the commands do in a cluster what they say is not shown here.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.infra.terraform.conftest import SOURCE
from tests.infra.tools import tool

SCRIPTS = ("bootstrap.sh", "platform.sh", "teardown.sh")

# Each notes how it was called. terraform answers for its outputs. gcloud says that one workload's secret has a key, and
# gives every key but that in the secret WITHOUT. kubectl builds the overlay if it is really installed, and says that
# namespaces and Secrets are there if THERE is set.
STAND_IN = """#!/usr/bin/env bash
echo "{name} $*" >>"$CALLS"
case "{name} $*" in
  "terraform "*"output -raw cluster_name") printf '%s' "$CLUSTER" ;;
  "terraform "*"output -raw credentials_command") printf 'gcloud container clusters get-credentials lifeboat-staging' ;;
  "terraform "*"output -raw "*) printf 'the-%s' "${{@: -1}}" ;;
  "terraform "*"output -json "*) cat "$OUTPUTS/${{@: -1}}" ;;
  "kubectl config current-context") echo gke_project_region_lifeboat-staging ;;
  "kubectl kustomize "*/overlays/*) if [[ -n $KUBECTL ]]; then "$KUBECTL" "$@"; else cat "${{@: -1}}"/*.yaml; fi ;;
  "kubectl kustomize "*) cat "${{@: -1}}"/*.yaml ;;
  "kubectl get namespace "* | "kubectl "*" get secret "*) [[ -n ${{THERE:-}} ]] ;;
  "kubectl "*" create secret generic "*) echo "secret: $2 $6"; cat ;;
  "kubectl "*"-f -") cat >>"$APPLIED" ;;
  "gcloud secrets versions list "*deploy*) echo 1 ;;
  "gcloud secrets versions access "*"--secret ${{WITHOUT:-none}} "*) exit 1 ;;
  "gcloud secrets versions access "*) echo '{{"metadata": {{"accessId": "GOOG1"}}, "secret": "made-up-key"}}' ;;
  "gcloud storage hmac create "*) echo '{{"secret": "made-up-key"}}' ;;
  "gcloud secrets versions add "*) cat >>"$STORED" ;;
esac
"""
WORKLOADS = "database-admin deploy drift-detector kfp mlflow model-server pipeline retrain-trigger"
OUTPUTS = {
    "buckets": '{"bundles": "the-bundles", "mlflow": "the-runs", "pipelines": "the-bucket"}',
    "database_users": '{"database-admin": "admin@db", "mlflow": "mlflow@db"}',
    "s3_secrets": '{"deploy": "s3-deploy", "drift-detector": "s3-drift", "model-server": "s3-s", "pipeline": "s3-p"}',
    "workload_service_accounts": "{"
    + ", ".join(
        f'"{name}": {{"email": "{name}@example.com", "namespace": "ns-{name}", "service_accounts": []}}'
        for name in WORKLOADS.split()
    )
    + "}",
}
PLACEHOLDER = re.compile(
    r"\b(?!LIFEBOAT_)(?:[A-Z]+_)*(?:ACCOUNT|BUCKET|CIDR|CONNECTION|DATABASE_USER|NAMESPACE|KEY|PROJECT_ID|REGISTRY)\b"
)


def call(script: str, *arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(SOURCE / script), *arguments],
        env=environment or {"PATH": "/usr/bin:/bin"}, input="", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def make_stand_ins(tmp_path: Path) -> dict[str, str]:
    binaries = tmp_path / "bin"
    binaries.mkdir()
    for name in ("gcloud", "helm", "kubectl", "terraform"):
        (binaries / name).write_text(STAND_IN.format(name=name))
        (binaries / name).chmod(0o755)
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    for name, text in OUTPUTS.items():
        (outputs / name).write_text(text)
    for name in ("applied", "calls", "stored"):
        (tmp_path / name).touch()
    return {
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "APPLIED": str(tmp_path / "applied"),
        "CALLS": str(tmp_path / "calls"),
        "CLUSTER": "lifeboat-staging",
        "KUBECTL": shutil.which("kubectl") or "",
        "OUTPUTS": str(outputs),
        "STORED": str(tmp_path / "stored"),
    }


@pytest.fixture
def stand_ins(tmp_path: Path) -> dict[str, str]:
    return make_stand_ins(tmp_path)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, str]]:
    """What a whole run of platform.sh printed, and where the stand-ins noted what they were given."""
    stand_ins = make_stand_ins(tmp_path_factory.mktemp("platform"))
    done = call("platform.sh", "staging", environment=stand_ins)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr, stand_ins


@pytest.mark.parametrize("script", [*SCRIPTS, "dry_run.sh"])
def test_shellcheck_finds_nothing(script: str) -> None:
    done = subprocess.run(
        [tool("shellcheck"), "--external-sources", "--source-path=SCRIPTDIR", str(SOURCE / script)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_it_says_how_it_is_used(script: str) -> None:
    done = call(script, "a", "b", "c", "d")
    assert done.returncode == 2
    assert f"usage: {script}" in done.stderr


def test_the_platforms_dry_run_shows_each_part_with_its_version() -> None:
    done = call("platform.sh", "staging", "--dry-run")
    assert done.returncode == 0, done.stderr
    parts = [
        "== kubectl's way in", "== storage class", "gcloud storage hmac create", "secret generic s3-model-server",
        "secret generic mlflow-database", "secret generic lifeboat-trigger", "secret generic mysql-secret",
        "istiod --install --version 1.30.5",
        "kube-prometheus-stack --install --version 87.17.0", "prometheus-adapter --install --version 5.3.0",
        "seldon-core-operator --install --version 1.17.1",
        "job/database-grants", "cluster-scoped-resources\\?ref=2.17.0",
        "kustomize terraform/platform/kfp", "kustomize/overlays/staging",
    ]  # fmt: skip
    places = [done.stdout.find(part) for part in parts]
    assert -1 not in places, parts[places.index(-1)]
    assert places == sorted(places)


def test_kubeflows_version_is_the_same_in_both_places() -> None:
    script = re.search(r"KFP_VERSION=(\S+)", (SOURCE / "platform.sh").read_text())
    overlay = re.search(r"ref=(\S+)", (SOURCE / "platform/kfp/kustomization.yaml").read_text())
    assert script
    assert overlay
    assert script[1] == overlay[1]


def test_the_platform_is_installed_with_every_placeholder_filled_in(installed: tuple[str, dict[str, str]]) -> None:
    _, stand_ins = installed
    applied = "\n".join(
        line
        for line in Path(stand_ins["APPLIED"]).read_text().splitlines()
        if not line.lstrip().startswith(("#", "-- "))
    )
    assert not PLACEHOLDER.findall(applied)
    for value in (
        "the-disk_key",
        "gs://the-bucket/runs",
        "--set=mlflow=mlflow@db",
        "pipeline@example.com",
        "the-registry/",
    ):
        assert value in applied
    if stand_ins["KUBECTL"]:
        for value in ("s3://the-bundles", "gs://the-runs", "cidr: the-google_services_cidr", "the-database_connection"):
            assert value in applied
        assert "lifeboat-mlflow@the-project_id.iam.gserviceaccount.com" in applied
    calls = Path(stand_ins["CALLS"]).read_text()
    assert "externalLabels.runbooks=https://github.com/the-github_repository/blob/main/docs/runbooks\n" in calls
    releases = re.findall(r"^helm upgrade (\S+)", calls, re.MULTILINE)
    charts = ["monitoring", "prometheus-adapter", "seldon-core"]
    assert releases == ["istio-base", "istio-cni", "istiod", "istio-ingressgateway", *charts]


def test_a_key_is_made_once_and_is_never_shown(installed: tuple[str, dict[str, str]]) -> None:
    printed, stand_ins = installed
    assert "s3-deploy has a key" in printed
    assert Path(stand_ins["STORED"]).read_text().count("made-up-key") == 3
    assert "made-up-key" not in printed + Path(stand_ins["CALLS"]).read_text()


def made_secrets(stand_ins: dict[str, str]) -> dict[str, list[str]]:
    """The lines of each Secret that was applied, by NAMESPACE/NAME."""
    applied = Path(stand_ins["APPLIED"]).read_text()
    found = re.findall(r"^secret: (\S+) (\S+)\n((?:[a-z-]+=.*\n)*)", applied, re.MULTILINE)
    return {f"{namespace}/{name}": lines.splitlines() for namespace, name, lines in found}


def test_the_secrets_have_the_shape_that_the_pods_read(installed: tuple[str, dict[str, str]]) -> None:
    printed, stand_ins = installed
    secrets = made_secrets(stand_ins)
    tokens = [secrets.pop(f"{where}/lifeboat-trigger") for where in ("ns-retrain-trigger", "monitoring")]
    assert tokens[0] == tokens[1]
    assert re.fullmatch("token=[0-9a-f]{64}", tokens[0][0])
    assert tokens[0][0].removeprefix("token=") not in printed + Path(stand_ins["CALLS"]).read_text()
    assert secrets.pop("ns-mlflow/mlflow-database") == ["uri=postgresql+psycopg2://mlflow%40db@127.0.0.1:5432/mlflow"]
    personal = [secrets.pop(f"{where}/personal-key") for where in ("ns-drift-detector", "kubeflow")]
    assert personal[0] == personal[1]
    assert re.fullmatch("key=[0-9a-f]{64}", personal[0][0])
    account, password = secrets.pop("ns-kfp/mysql-secret")
    assert account == "username=root"
    assert re.fullmatch("password=[0-9a-f]{64}", password)
    key = ["access-key=GOOG1", "secret-key=made-up-key"]
    workloads = ("deploy", "drift-detector", "model-server", "pipeline")
    assert secrets == {f"ns-{name}/s3-{name}": key for name in workloads}


@pytest.mark.slow
def test_what_is_there_is_left_as_it_is(stand_ins: dict[str, str]) -> None:
    """A new token would be unknown to the trigger that runs, a new password to the disk that has the old one."""
    done = call("platform.sh", "staging", environment={**stand_ins, "THERE": "1"})
    assert done.returncode == 0, done.stderr
    assert not [name for name in made_secrets(stand_ins) if name.endswith(("/lifeboat-trigger", "/mysql-secret"))]
    assert "create namespace" not in Path(stand_ins["CALLS"]).read_text()


def test_a_key_that_cannot_be_read_overwrites_no_secret(stand_ins: dict[str, str]) -> None:
    done = call("platform.sh", "staging", environment={**stand_ins, "WITHOUT": "s3-s"})
    assert done.returncode != 0
    assert list(made_secrets(stand_ins)) == ["ns-deploy/s3-deploy", "ns-drift-detector/s3-drift-detector"]


def test_kubectl_takes_a_secret_by_lines() -> None:
    """What the stand-ins stand for: names with a dash, values with = and no server."""
    done = subprocess.run(
        [tool("kubectl"), "--namespace", "a", "create", "secret", "generic", "s3-x", "--from-env-file=/dev/stdin",
         "--dry-run=client", "--output", "yaml"],
        input="access-key=GOOG1\nsecret-key=a+b/c==\n", capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    secret = yaml.safe_load(done.stdout)
    assert (secret["metadata"]["name"], secret["metadata"]["namespace"]) == ("s3-x", "a")
    values = {key: base64.b64decode(text).decode() for key, text in secret["data"].items()}
    assert values == {"access-key": "GOOG1", "secret-key": "a+b/c=="}


@pytest.mark.parametrize("script", ["platform.sh", "teardown.sh"])
def test_nothing_is_done_to_another_environments_cluster(stand_ins: dict[str, str], script: str) -> None:
    done = call(script, "staging", environment={**stand_ins, "CLUSTER": "lifeboat-production"})
    assert done.returncode == 1
    assert "lifeboat-production" in done.stderr
    assert not re.search(r"^(helm|kubectl|gcloud) ", Path(stand_ins["CALLS"]).read_text(), re.MULTILINE)


def test_the_platform_names_the_tools_it_misses() -> None:
    done = call("platform.sh", "staging")
    assert done.returncode == 1
    assert "helm" in done.stderr


def test_production_cannot_be_torn_down() -> None:
    done = call("teardown.sh", "production", "--dry-run")
    assert done.returncode == 1
    assert "protected" in done.stderr
    assert "destroy" not in done.stdout


def test_a_tear_down_asks_first(stand_ins: dict[str, str]) -> None:
    done = call("teardown.sh", "staging", environment=stand_ins)
    assert done.returncode != 0
    assert "destroy" not in Path(stand_ins["CALLS"]).read_text()


def test_a_tear_down_frees_what_kubernetes_made_before_terraform_destroys() -> None:
    done = call("teardown.sh", "staging", "--dry-run")
    assert done.returncode == 0
    order = [done.stdout.index(part) for part in ("delete service", "delete namespace", "backups delete", " destroy ")]
    assert order == sorted(order)


def test_the_bootstrap_protects_the_state() -> None:
    done = call("bootstrap.sh", "my-project", "europe-west1", "--dry-run")
    assert done.returncode == 0
    for part in (
        "gs://my-project-tfstate",
        "--versioning",
        "--uniform-bucket-level-access",
        "--public-access-prevention",
    ):
        assert part in done.stdout
