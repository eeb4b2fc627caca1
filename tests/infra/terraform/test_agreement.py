"""What terraform/ and kustomize/ both say of accounts, Secrets and buckets, held side by side."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.infra.kustomize.build import OVERLAYS, ROOT, one, overlay, pods
from tests.infra.kustomize.test_references import external, references
from tests.infra.terraform.conftest import SOURCE
from tests.infra.terraform.sides import (
    GKE,
    IDENTITY,
    SCRIPT,
    documents,
    field,
    filled,
    holders,
    lent,
    namespace,
    namespaces,
    workloads,
)
from tests.infra.terraform.test_layout import OUTPUTS, blocks

EACH = pytest.mark.parametrize("name", GKE)
ACCOUNT = "iam.gke.io/gcp-service-account"


# Who.


@EACH
def test_each_account_of_kubernetes_has_the_identity_that_terraform_lends_it(name: str) -> None:
    ours = {
        f"{r['metadata']['namespace']}/{r['metadata']['name']}": r["metadata"]["annotations"][ACCOUNT]
        for r in overlay(name)
        if r["kind"] == "ServiceAccount"
    }
    found = {who: field(email, r"^lifeboat-(.+)@PROJECT_ID\.iam\.gserviceaccount\.com$") for who, email in ours.items()}
    (runner,) = documents("kfp/runner.yaml")
    (kubeflow,) = documents("kfp/identity.yaml")
    admin = documents("grants-job.yaml")[0]
    for account, text in ((runner, "PIPELINE_ACCOUNT"), (kubeflow, "KFP_ACCOUNT"), (admin, "ADMIN_ACCOUNT")):
        assert account["metadata"]["annotations"][ACCOUNT] == text
    patches = documents("kfp/kustomization.yaml")[0]["patches"]
    servers = next(patch["target"]["name"] for patch in patches if patch.get("path") == "identity.yaml").split("|")
    found |= {f"kubeflow/{server}": "kfp" for server in servers}
    found |= {f"{runner['metadata']['namespace']}/{runner['metadata']['name']}": "pipeline"}
    found |= {f"{namespaces()['platform']}/{admin['metadata']['name']}": "database-admin"}
    assert found == lent()


def test_the_outputs_that_fill_an_identity_are_of_its_workload() -> None:
    assert filled("kubeflow")["KFP_ACCOUNT"] == "workload_service_accounts.kfp.email"
    assert filled("kubeflow")["PIPELINE_ACCOUNT"] == "workload_service_accounts.pipeline.email"
    assert filled("database_grants")["ADMIN_ACCOUNT"] == "workload_service_accounts.database-admin.email"
    assert 'account_id   = "lifeboat-${each.key}"' in IDENTITY


@EACH
def test_every_namespace_is_one_of_terraforms(name: str) -> None:
    for who, where, _, _ in pods(overlay(name)):
        assert where in namespaces().values(), who
    binding = one(overlay(name), "RoleBinding", "deploy-step")
    subjects = {f"{subject['namespace']}/{subject['name']}" for subject in binding["subjects"]}
    assert subjects == {who for who, workload in lent().items() if workload in ("deploy", "pipeline")}


# Pods of an identity that is not named after them: the explainer reads the bundles, and that alone, as servers do.
SHARED = {"explainer": "model-server"}


@EACH
def test_every_pod_runs_as_the_account_of_its_identity(name: str) -> None:
    for who, where, labels, pod in pods(overlay(name)):
        workload = labels["app.kubernetes.io/name"]
        assert lent()[f"{where}/{pod['serviceAccountName']}"] == SHARED.get(workload, workload), who


# Secrets and buckets.


def test_a_key_to_the_buckets_is_a_secret_of_the_table_and_of_the_script() -> None:
    assert set(field(SCRIPT, r"S3_WORKLOADS=\((.*)\)").split()) == holders()
    wanted = {(namespace(name), f"s3-{name}", key) for name in holders() for key in ("access-key", "secret-key")}
    # That of the component `retention`, which none of our overlays takes, is made by hand.
    table = {row for row in external() if row[1].startswith("s3-") and row[1] != "s3-retention"}
    # MLflow's is for stores in the cluster: on GKE it asks as itself.
    assert table == wanted | {("mlflow", "s3-mlflow", key) for key in ("access-key", "secret-key")}


@EACH
def test_every_secret_that_a_pod_reads_on_gke_is_made_by_the_script(name: str) -> None:
    made = {(namespace(workload), f"s3-{workload}") for workload in holders()}
    made |= {(namespace("mlflow"), "mlflow-database"), (namespace("retrain-trigger"), "lifeboat-trigger")}
    made |= {(namespace("drift-detector"), "personal-key")}
    read = {
        (where, named)
        for _, where, _, pod in pods(overlay(name))
        for kind, named, _ in references(pod)
        if kind == "Secret"
    }
    assert len(read) >= 4
    assert read <= made
    for _, found in made - {(namespace(workload), f"s3-{workload}") for workload in holders()}:
        assert re.search(rf"secret .* {found}$|made_once {found} ", SCRIPT, re.M), found


@EACH
def test_what_is_in_capitals_in_an_overlay_is_filled_in_by_the_script(name: str) -> None:
    files = [*(ROOT / "kustomize/components/gke").glob("*.yaml"), *(ROOT / f"kustomize/overlays/{name}").glob("*.yaml")]
    lines = [re.sub(r"#.*|\bCSQL_\w+", "", line) for path in files for line in path.read_text().splitlines()]
    found = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b|\b[A-Z]{4,}\b", "\n".join(lines)))
    # A release writes the registry in its place.
    assert found | {"REGISTRY"} == set(filled("overlay"))
    text = yaml.safe_dump_all(overlay(name))
    for word in found:
        assert len(re.findall(word, text)) == len(re.findall(rf"\b{word}\b", text)) > 0, f"{word} is in another word"


def test_every_output_that_the_script_asks_for_is_one() -> None:
    outputs = blocks(OUTPUTS, "output")
    asked = set(re.findall(r'\boutput "?([a-z][a-z0-9_]+)', SCRIPT)) - {"yaml"}
    assert asked
    assert asked <= set(outputs)
    buckets = field((SOURCE / "storage.tf").read_text(), r"(?s)buckets = {\n(.*?)\n  }")
    for bucket in re.findall(r"output buckets\.(\w+)", SCRIPT):
        assert re.search(rf"^    {bucket} +=", buckets, re.M), bucket


@EACH
def test_the_store_is_one_bucket_in_which_each_has_its_part(name: str) -> None:
    store = one(overlay(name), "ConfigMap", "object-store")["data"]
    steps = one(overlay(name), "ConfigMap", "lifeboat-steps")["data"]
    assert store["store"] == steps["store"] == "s3://BUNDLES_BUCKET"
    assert (store["endpoint"], store["region"]) == (steps["s3-endpoint"], steps["s3-region"])
    assert filled("overlay")["BUNDLES_BUCKET"] == "buckets.bundles"
    granted = {
        who: set(re.findall(r'name = "bundles", role = "(\w+)", prefix = "(.*?)"', text))
        for who, text in workloads().items()
    }
    seen = {("read", f"{part}/") for part in ("bundles", "labelled", "trust", "forgotten")}
    assert granted["drift-detector"] == seen | {("add", "labelled/"), ("add", "forgotten/")}
    assert granted["model-server"] == granted["deploy"] == {("read", "bundles/")}
    assert granted["pipeline"] == {("read", ""), ("add", "bundles/"), ("write", "trust/")}


def test_the_parts_of_the_store_are_those_of_the_code() -> None:
    from lifeboat.data.labelled import forgotten, labelled_rows, trust

    for folder in (forgotten.FOLDER, labelled_rows.FOLDER, trust.FOLDER):
        assert f'prefix = "{folder}/"' in IDENTITY
    assert 'f"bundles/{' in (ROOT / "components/lifeboat/registry/bundle_store.py").read_text()


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_steps_find_every_setting_of_theirs(name: str) -> None:
    from lifeboat.pipeline.dag import KEYS, SETTINGS

    assert set(one(overlay(name), "ConfigMap", "lifeboat-steps")["data"]) == set(SETTINGS)
    assert {("kubeflow", "s3-pipeline", key) for key in KEYS} <= external()
