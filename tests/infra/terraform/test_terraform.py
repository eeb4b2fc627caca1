"""Terraform's own checks, each skipped in a word where its tool or Google's provider is not there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.infra.terraform.conftest import SOURCE, Terraform
from tests.infra.tools import checkov

ENVIRONMENTS = ("production", "staging")


def test_every_file_is_formatted(terraform: Terraform) -> None:
    done = terraform(SOURCE, "fmt", "-check", "-recursive", "-diff")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_variables_take_the_environments_and_refuse_what_they_say(
    terraform: Terraform, tmp_path: Path, environment: str
) -> None:
    """The variables alone are a module without a provider, so this runs wherever Terraform does."""
    shutil.copy(SOURCE / "variables.tf", tmp_path)
    shutil.copy(SOURCE / "environments" / f"{environment}.tfvars", tmp_path)
    if environment == "staging":
        shutil.copy(SOURCE / "tests/variables/variables.tftest.hcl", tmp_path)
    else:  # the refusals start from staging's file; production's has to be taken, no more
        (tmp_path / "taken.tftest.hcl").write_text('run "taken" {\n  command = plan\n}\n')
    assert terraform(tmp_path, "init").returncode == 0
    done = terraform(tmp_path, "test", f"-var-file={environment}.tfvars")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 failed" in done.stdout


def test_every_validation_has_a_run_that_breaks_it() -> None:
    validations = (SOURCE / "variables.tf").read_text().count("  validation {")
    refusals = (SOURCE / "tests/variables/variables.tftest.hcl").read_text().count("expect_failures")
    assert refusals >= validations


def test_it_is_valid_by_the_providers_schema(terraform: Terraform, with_provider: Path) -> None:
    done = terraform(with_provider, "validate", "-json")
    answer = json.loads(done.stdout)
    assert answer["valid"], answer["diagnostics"]
    assert not answer["diagnostics"], "a warning is a deprecation: see to it"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_plan_is_hardened(terraform: Terraform, with_provider: Path, environment: str) -> None:
    done = terraform(
        with_provider, "test", "-filter=tests/hardened.tftest.hcl", f"-var-file=environments/{environment}.tfvars"
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_production_is_protected(terraform: Terraform, with_provider: Path) -> None:
    done = terraform(
        with_provider, "test", "-filter=tests/production.tftest.hcl", "-var-file=environments/production.tfvars"
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_checkov_finds_nothing_that_is_not_excused_with_a_reason() -> None:
    variables = SOURCE / "environments/production.tfvars"
    report = checkov("terraform", "--directory", SOURCE, "--var-file", variables)
    assert report["summary"]["passed"] > 150
    for one in report["results"].get("skipped_checks", []):
        assert len(one["check_result"]["suppress_comment"]) > 40, f"{one['check_id']} is excused without a reason"
