"""What terraform/ and kustomize/ both say of images, pools, volumes and names, held side by side."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest
import yaml

from tests.infra.kustomize.build import ROOT, containers, model, one, overlay, pods, predictor
from tests.infra.kustomize.test_references import external
from tests.infra.terraform.conftest import SOURCE
from tests.infra.terraform.sides import GKE, PLATFORM, SCRIPT, documents, field
from tests.infra.terraform.test_layout import OUTPUTS, VARIABLES, blocks

EACH = pytest.mark.parametrize("name", GKE)
PROXY = "gcr.io/cloud-sql-connectors/cloud-sql-proxy"


# Images.


def test_our_images_are_in_the_registry_that_terraform_makes() -> None:
    pattern = field(blocks(OUTPUTS, "output")["registry"], r'value += "(.*)"')
    assert pattern.startswith("${var.region}-docker.pkg.dev/${var.project_id}/")
    repository = field((SOURCE / "registry.tf").read_text(), r'repository_id = "(.+)"')
    for name in GKE:
        variables = (SOURCE / f"environments/{name}.tfvars").read_text()
        region, project = (field(variables, rf'(?m)^{key} += "(.+)"$') for key in ("region", "project_id"))
        written = f"{region}-docker.pkg.dev/{project}/{repository}"
        images = [image for image in used(name) if not image.startswith(PROXY)]
        images.append(one_starting(name, "retrain-trigger")["components-image"])
        for image in images:
            assert re.match(rf"(REGISTRY|{re.escape(written)})/[a-z-]+[:@]", image), image


def used(name: str) -> list[str]:
    return [container["image"] for *_, pod in pods(overlay(name)) for container in containers(pod)]


def one_starting(name: str, prefix: str) -> dict[str, str]:
    """The data of a ConfigMap that Kustomize gave a suffix."""
    return next(
        dict(r["data"])
        for r in overlay(name)
        if r["kind"] == "ConfigMap" and r["metadata"]["name"].startswith(f"{prefix}-")
    )


def exempt() -> list[str]:
    return re.findall(r'^      "(.+)",$', blocks(VARIABLES, "variable")["binary_authorization"], re.M)


def exempts(image: str) -> bool:
    """Whether an image may run without our signature."""
    return any(fnmatchcase(image, pattern) for pattern in exempt())


def test_every_image_of_others_may_run_without_our_signature_and_none_of_ours() -> None:
    images = {image for name in GKE for image in used(name)}
    images |= {found for path in PLATFORM.rglob("*.yaml") for found in re.findall(r"image: (\S+)", path.read_text())}
    assert len(images) > 5
    for image in images:
        assert exempts(image) is ("/lifeboat/" not in image and not image.startswith("REGISTRY/")), image
    assert not [pattern for pattern in exempt() if "docker.pkg.dev" in pattern]


def test_grafana_starts_no_image_that_may_not_run() -> None:
    """The chart would own the volume by another image, as root."""
    (values,) = documents("prometheus.yaml")
    assert exempts("docker.io/grafana/grafana:13.1.0")
    assert not exempts("docker.io/library/busybox:1.38.0")
    assert values["grafana"]["initChownData"] == {"enabled": False}


def test_the_proxy_is_the_same_everywhere() -> None:
    folders = (SOURCE, ROOT / "kustomize")
    texts = [path.read_text() for folder in folders for path in folder.rglob("*.yaml")]
    found = [image for text in texts for image in re.findall(rf"image: ({PROXY}\S+)", text)]
    assert len(found) == 2
    assert len(set(found)) == 1


# Places and names.


@EACH
def test_every_volume_is_of_the_storage_class_that_is_made(name: str) -> None:
    (storage,) = documents("storage-class.yaml")
    made = storage["metadata"]["name"]
    claims = [c for r in overlay(name) if r["kind"] == "StatefulSet" for c in r["spec"]["volumeClaimTemplates"]]
    assert claims
    assert {claim["spec"]["storageClassName"] for claim in claims} == {made}
    assert set(re.findall(r"storageClassName: ([\w-]+)", (PLATFORM / "prometheus.yaml").read_text())) == {made}
    assert re.findall(r"storageClassName, value: ([\w-]+)", (PLATFORM / "kfp/kustomization.yaml").read_text()) == [made]


def test_kubeflows_database_takes_the_password_that_is_made_and_no_other() -> None:
    overlay_text = (PLATFORM / "kfp/kustomization.yaml").read_text()
    assert "env/platform-agnostic?" in overlay_text  # 2.17.0 does not start on PostgreSQL
    (secret,) = [patch for patch in yaml.safe_load(overlay_text)["patches"]
                 if patch.get("target", {}).get("kind") == "Secret"]  # fmt: skip
    assert secret["target"]["name"] == "mysql-secret"
    assert "$patch: delete" in secret["patch"]
    (mysql,) = documents("kfp/mysql.yaml")
    (server,) = mysql["spec"]["template"]["spec"]["containers"]
    given = {entry["name"]: entry for entry in server["env"]}
    assert given["MYSQL_ALLOW_EMPTY_PASSWORD"]["$patch"] == "delete"
    assert given["MYSQL_ROOT_PASSWORD"]["valueFrom"]["secretKeyRef"] == {"name": "mysql-secret", "key": "password"}


@EACH
def test_seldons_routes_name_the_gateway_that_is_made(name: str) -> None:
    (gateway,) = documents("gateway.yaml")
    made = f"{gateway['metadata']['namespace']}/{gateway['metadata']['name']}"
    assert model(overlay(name))["spec"]["annotations"]["seldon.io/istio-gateway"] == made
    assert f"--set istio.gateway={made} " in SCRIPT


def test_models_and_steps_go_to_pools_that_there_are() -> None:
    label = field((SOURCE / "node_pools.tf").read_text(), r'labels += { "(.+?)" = each\.key }')
    assert f'key    = "{label}"' in (SOURCE / "node_pools.tf").read_text()
    tainted = {}
    for name in GKE:
        pools = field((SOURCE / f"environments/{name}.tfvars").read_text(), r"(?s)node_pools = {\n(.*?)\n}")
        tainted = {pool: "tainted = true" in text for pool, text in re.findall(r"(?m)^  (\w+) += {(.*)}$", pools)}
        (component,) = predictor(overlay(name))["componentSpecs"]
        assert component["spec"]["nodeSelector"] == {label: "serving"}
        assert tainted == {"pipelines": True, "serving": False, "system": False}
        for who, _, _, pod in pods(overlay(name)):
            assert who == "model-template" or "nodeSelector" not in pod, who
    (argo,) = [d for d in documents("kfp/settings.yaml") if d["metadata"]["name"] == "workflow-controller-configmap"]
    runs = yaml.safe_load(argo["data"]["workflowDefaults"])["spec"]
    assert runs["nodeSelector"] == {label: "pipelines"}
    assert runs["tolerations"] == [{"key": label, "operator": "Equal", "value": "pipelines", "effect": "NoSchedule"}]
    steps = (ROOT / "pipelines/lifeboat/pipeline/dag.py").read_text()
    assert f'key="{label}", operator="Equal", value="pipelines", effect="NoSchedule"' in steps


def test_alertmanager_reads_our_configuration_and_the_triggers_token() -> None:
    (values,) = documents("prometheus.yaml")
    spec = values["alertmanager"]["alertmanagerSpec"]
    assert spec["useExistingSecret"] is True
    config = one(overlay("production"), "Secret", spec["configSecret"], "monitoring")
    assert set(config["data"]) == {"alertmanager.yaml"}
    text = (ROOT / "kustomize/base/monitoring/alertmanager.yaml").read_text()
    read = set(re.findall(r"^[^#\n]*/etc/alertmanager/secrets/([\w-]+)/(\w+)$", text, re.M))
    assert {secret for secret, _ in read} == set(spec["secrets"])
    assert {("monitoring", secret, key) for secret, key in read} <= external()


def test_every_external_label_of_the_rules_is_set() -> None:
    rules = (ROOT / "kustomize/base/monitoring/rules.yaml").read_text()
    assert set(re.findall(r"externalLabels\.(\w+)", rules)) == set(re.findall(r"externalLabels\.(\w+)=", SCRIPT))
    assert (ROOT / "docs/runbooks").is_dir()
    assert "/blob/main/docs/runbooks" in SCRIPT
