"""What can be said of the files with no tool at all."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.infra.terraform.conftest import SOURCE

VARIABLES = (SOURCE / "variables.tf").read_text()
OUTPUTS = (SOURCE / "outputs.tf").read_text()


def blocks(text: str, kind: str) -> dict[str, str]:
    """Name and body of each block of the kind at the left margin."""
    return dict(re.findall(rf'^{kind} "(\w+)" {{\n(.*?)^}}$', text, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize(("kind", "text"), [("variable", VARIABLES), ("output", OUTPUTS)])
def test_they_are_in_alphabetical_order_and_described(kind: str, text: str) -> None:
    found = blocks(text, kind)
    assert list(found) == sorted(found)
    assert all(re.search(r"^  description = ", body, re.MULTILINE) for body in found.values())


@pytest.mark.parametrize("name", blocks(VARIABLES, "variable"))
def test_a_variable_has_a_type_and_a_sentence_that_says_what_is_allowed(name: str) -> None:
    body = blocks(VARIABLES, "variable")[name]
    assert re.search(r"^  type +=", body, re.MULTILINE)
    sentences = re.findall(r'error_message = "(.*)"$', body, re.MULTILINE)
    assert sentences
    for sentence in sentences:
        assert name in sentence
        assert "must" in sentence
        assert sentence.endswith(".")


@pytest.mark.parametrize("environment", ["production", "staging"])
def test_an_environment_is_only_data(environment: str) -> None:
    text = (SOURCE / "environments" / f"{environment}.tfvars").read_text()
    assert set(re.findall(r"^(\w+) +=", text, re.MULTILINE)) <= set(blocks(VARIABLES, "variable"))
    project = re.search(r'^project_id += "(.+)"$', text, re.MULTILINE)
    assert project
    backend = (SOURCE / "environments" / f"{environment}.gcs.tfbackend").read_text()
    assert f'bucket = "{project[1]}-tfstate"' in backend, "bootstrap.sh names the bucket after the project"


def test_the_lock_file_holds_the_version_of_versions_tf_and_its_checksums_at_the_public_registry() -> None:
    lock = (SOURCE / ".terraform.lock.hcl").read_text()
    assert re.findall(r'^provider "([^/]+)/', lock, re.MULTILINE) == ["registry.terraform.io"]
    constraint = re.search(r'version = "(~> [\d.]+)"', (SOURCE / "versions.tf").read_text())
    assert constraint
    assert f'constraints = "{constraint[1]}"' in lock
    assert f'version     = "{constraint[1].removeprefix("~> ")}"' in lock
    # The registry's checksums, one for each platform: without them the first download would be believed.
    assert len(set(re.findall(r'"zh:[0-9a-f]{64}"', lock))) > 10


def test_every_excuse_to_checkov_says_why() -> None:
    for path in SOURCE.glob("*.tf"):
        for excuse in re.findall(r"checkov:skip=(.*)", path.read_text()):
            check, _, reason = excuse.partition(":")
            assert re.fullmatch(r"CKV2?_GCP_\d+", check)
            assert len(reason) > 20, f"{path.name}: {check}"


def test_the_databases_are_those_that_the_grants_name() -> None:
    listed = re.search(r"databases = \[(.+?)\]", (SOURCE / "database.tf").read_text())
    assert listed
    grants = (SOURCE / "platform/database-grants.sql").read_text()
    assert set(re.findall(r'"(\w+)"', listed[1])) == set(re.findall(r"^\\connect (\w+)", grants, re.MULTILINE))


def test_manifests_of_the_platform_are_yaml_with_pinned_images() -> None:
    texts = [path.read_text() for path in sorted((SOURCE / "platform").rglob("*.yaml"))]
    assert texts
    for text in texts:
        assert list(yaml.safe_load_all(text))
        for image in re.findall(r"image: (\S+)", text):
            assert re.search(r":[\w.-]*\d[\w.-]*$", image), f"{image} has no version"


@pytest.mark.parametrize(("column", "environment"), [(2, "staging"), (3, "production")])
def test_the_estimate_adds_up_and_is_within_the_budget(column: int, environment: str) -> None:
    page = (SOURCE.parent / "docs/path-to-production.md").read_text()
    rows = [line.split("|") for line in page[page.index("## What it costs") :].splitlines() if line.startswith("| ")]
    amounts = [int(row[column].strip(" *")) for row in rows if re.fullmatch(r"[\d* ]+", row[column])]
    assert sum(amounts[:-1]) == amounts[-1]
    budget = re.search(r"monthly_amount += (\d+)", (SOURCE / f"environments/{environment}.tfvars").read_text())
    assert budget
    assert amounts[-1] < int(budget[1])
