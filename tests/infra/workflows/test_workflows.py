"""GitHub's workflows, as far as they can be judged without GitHub."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infra.tools import ROOT, tool

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.y*ml"))
# What somebody may write who only opens a pull request or names a branch.
UNTRUSTED = re.compile(r"\$\{\{[^}]*github\.(event\b|head_ref|actor|ref_name)")

each = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def workflow(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(path.read_text(), Loader=yaml.BaseLoader)  # noqa: S506  # so that `on` stays a word
    return found


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in workflow(path)["jobs"].values():
        yield from job.get("steps", [])


def makefile_verbs() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_there_is_a_workflow_for_every_way_a_change_goes() -> None:
    assert [path.stem for path in WORKFLOWS] == ["cluster", "main", "pull-request", "release", "weekly"]


@each
def test_every_action_is_pinned_by_its_commit_and_says_its_version(path: Path) -> None:
    used = re.findall(r"uses: (.*)", path.read_text())
    assert [line for line in used if not line.startswith("./")
            and not re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []  # fmt: skip


def test_an_action_has_one_pin_everywhere() -> None:
    pins = {line for path in WORKFLOWS for line in re.findall(r"uses: (\S+@.*)", path.read_text())}
    assert len({pin.partition("@")[0] for pin in pins}) == len(pins) > 5


@each
def test_nothing_is_permitted_but_what_a_job_asks_for(path: Path) -> None:
    found = workflow(path)
    assert found["permissions"] == {}
    assert all("permissions" in job for job in found["jobs"].values())
    writable = {
        right for job in found["jobs"].values() for right, level in job["permissions"].items() if level == "write"
    }
    assert writable <= {"contents", "id-token", "issues", "pull-requests"}


def test_only_a_reviewed_environment_releases() -> None:
    jobs = workflow(GITHUB / "workflows" / "release.yaml")["jobs"]
    assert [name for name, job in jobs.items() if "id-token" in job["permissions"]] == ["promote"]
    assert jobs["promote"]["environment"] == "production"
    assert "needs" in jobs["overlay"]


@each
def test_every_job_ends_by_itself_and_old_runs_give_way(path: Path) -> None:
    found = workflow(path)
    assert "group" in found["concurrency"]
    for name, job in found["jobs"].items():
        assert "uses" in job or 0 < int(job["timeout-minutes"]) <= 90, name


@each
def test_no_checkout_leaves_its_token_behind(path: Path) -> None:
    checkouts = [step for step in steps(path) if step.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] == "false" for step in checkouts)


@each
def test_no_command_holds_what_a_stranger_wrote(path: Path) -> None:
    commands = [step["run"] for step in steps(path) if "run" in step]
    assert commands
    assert [command for command in commands if UNTRUSTED.search(command)] == []


@each
def test_every_verb_and_file_that_is_called_exists(path: Path) -> None:
    commands = "\n".join(step["run"] for step in steps(path) if "run" in step)
    called = set(re.findall(r"\bmake (?:--silent )?([a-z][a-z-]*)", commands))
    assert called <= makefile_verbs()
    for file in re.findall(r"\.github/tools/[\w.]+", commands):
        assert os.access(ROOT / file, os.X_OK), file


def test_the_lanes_are_those_that_terraform_makes() -> None:
    """A job that signs in must be what the lane's condition asks for, or Google gives it nothing."""
    lanes = (ROOT / "terraform" / "github.tf").read_text()
    accounts = {path.stem: set(re.findall(r"vars\.\w+_GITHUB_(\w+)_ACCOUNT", path.read_text())) for path in WORKFLOWS}
    assert accounts == {"cluster": {"BUILD"}, "main": {"BUILD"}, "pull-request": {"PLAN"},
                        "release": {"RELEASE"}, "weekly": set()}  # fmt: skip
    assert all(re.search(rf"^ +{lane} += ", lanes, re.MULTILINE) for lane in ("build", "plan", "release"))
    assert workflow(GITHUB / "workflows" / "main.yaml")["on"] == {"push": {"branches": ["main"]}}
    assert workflow(GITHUB / "workflows" / "release.yaml")["on"] == {"push": {"tags": ["v*"]}}


def test_dependabot_watches_every_kind_of_pin() -> None:
    found = yaml.safe_load((GITHUB / "dependabot.yml").read_text())
    kinds = {one["package-ecosystem"]: one for one in found["updates"]}
    assert set(kinds) == {"uv", "github-actions", "docker", "terraform"}
    assert all(one["groups"] and one["schedule"]["interval"] == "weekly" for one in kinds.values())
    folders = [folder for one in kinds.values() for folder in one.get("directories", [one.get("directory")])]
    assert all((ROOT / folder.strip("/")).is_dir() for folder in folders)
    assert all((ROOT / folder.strip("/") / "Dockerfile").is_file() for folder in kinds["docker"]["directories"])


def test_actionlint_finds_nothing() -> None:
    done = subprocess.run([tool("actionlint"), "-no-color"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_zizmor_finds_nothing() -> None:
    command = [tool("zizmor"), "--offline", "--quiet", "--no-progress", str(GITHUB)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No findings to report" in done.stdout + done.stderr


def test_shellcheck_finds_nothing() -> None:
    scripts = [str(path) for path in sorted((GITHUB / "tools").glob("*.sh"))]
    done = subprocess.run([tool("shellcheck"), *scripts], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert scripts
