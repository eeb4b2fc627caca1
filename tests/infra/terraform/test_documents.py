"""docs/path-to-production.md and docs/kubernetes.md: what they name is there, and they say the same."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from tests.infra.kustomize.build import ROOT
from tests.infra.kustomize.test_references import external
from tests.infra.terraform.conftest import SOURCE
from tests.infra.terraform.test_layout import OUTPUTS, blocks

PAGES = ("kubernetes", "path-to-production")
EACH = pytest.mark.parametrize("name", PAGES)
TEXTS = {name: (ROOT / "docs" / f"{name}.md").read_text() for name in PAGES}
SCRIPT = (SOURCE / "platform.sh").read_text()
TOOLS = {"docker", "echo", "gcloud", "gh", "helm", "kind", "kubectl", "make", "terraform", "terraform/bootstrap.sh"}
TOOLS |= {"terraform/platform.sh", "terraform/teardown.sh", ".venv/bin/lifeboat"}


def commands(name: str) -> list[str]:
    """The lines of blocks of code, a command on one line; kubernetes.md begins with a tree of folders."""
    lines = [line.strip() for line in TEXTS[name].splitlines() if line.startswith("    ")]
    lines = [line for line in lines if not re.match(r"(base|components|gke|overlays|kubeflow-pipelines)\b", line)]
    return "\n".join(lines).replace("\\\n", "").splitlines()


@EACH
def test_every_path_that_it_names_is_there(name: str) -> None:
    text = TEXTS[name]
    paths = re.findall(r"`((?:docs|kustomize|terraform|tests|components|serving|environments|platform)/[\w./-]*)", text)
    paths += re.findall(r"(?:-k |--values |-file=|-config=)((?:kustomize|terraform|environments)/[\w./-]+)", text)
    paths += [f"docs/{link}" for link in re.findall(r"\]\(([\w./-]+\.md)\)", text)]
    assert len(paths) > 8
    for path in (path for path in paths if "NAME" not in path):
        assert (ROOT / path).exists() or (SOURCE / path).exists() or (ROOT / "kustomize" / path).exists(), path
    for file in re.findall(r"`(\w+\.tf)`", text):
        assert (SOURCE / file).exists(), file


@EACH
def test_every_command_is_one(name: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    cli = (ROOT / "pipelines/lifeboat/cli/verbs.py").read_text()
    seen = set()
    for line in commands(name):
        word, _, rest = line.partition(" ")
        if word in TOOLS:
            seen.add(word)
        if word == ".venv/bin/lifeboat":
            assert re.search(rf'[( "]{re.escape(rest.split()[0])}"', cli), line
        if "/" in word and word.endswith(".sh"):
            assert os.access(ROOT / word, os.X_OK), line
    assert {"kubectl", ".venv/bin/lifeboat", "make"} <= seen
    for verb in re.findall(r"(?:`|^ +)make ([a-z-]+)", TEXTS[name], re.MULTILINE):
        assert re.search(rf"^{verb}:", makefile, re.MULTILINE), verb
    done = subprocess.run(["bash", "-n"], input="\n".join(commands(name)), text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_output_that_it_names_is_one() -> None:
    text = TEXTS["path-to-production"]
    named = set(re.findall(r"output -raw (\w+)", text))
    table = text[text.index("| variable | output |") : text.index("5. Images")]
    rows = re.findall(r"^   \| (`.+`) \| (`.+) \|$", table, re.MULTILINE)
    named |= {output for _, cell in rows for output in re.findall(r"`(\w+)`", cell)}
    assert named <= set(blocks(OUTPUTS, "output"))
    told = {variable.partition("_")[2] for cell, _ in rows for variable in re.findall(r"`(\w+)`", cell)}
    asked = {
        variable
        for path in (ROOT / ".github/workflows").glob("*.yaml")
        for variable in re.findall(r"vars\.(?:STAGING|PRODUCTION)_(\w+)", path.read_text())
    }
    assert told == asked


def test_the_pages_and_the_script_name_the_same_versions() -> None:
    versions = dict(re.findall(r"^readonly (\w+)_VERSION=(\S+)", SCRIPT, re.MULTILINE))
    laptop, cloud = TEXTS["kubernetes"], TEXTS["path-to-production"]
    assert f"seldon-core-operator --version {versions['SELDON']} " in laptop
    assert f"kube-prometheus-stack --version {versions['PROMETHEUS']} " in laptop
    assert set(re.findall(r"\?ref=([\d.]+)", laptop)) == {versions["KFP"]}
    assert f"operator {versions['SELDON']} and Kubeflow Pipelines {versions['KFP']}" in cloud


def test_the_laptop_gets_every_secret_of_the_table_that_it_needs() -> None:
    made = set(re.findall(r"\b([a-z]+/(?:s3-)[a-z-]+)", TEXTS["kubernetes"]))
    made |= {f"{where}/lifeboat-trigger" for where in ("kubeflow", "monitoring")}
    made |= {"mlflow/mlflow-database", "lifeboat/seaweedfs-keys", "lifeboat/personal-key", "kubeflow/personal-key"}
    assert made == {f"{where}/{who}" for where, who, _ in external()} - {"kubeflow/s3-deploy", "lifeboat/s3-retention"}
    for word in ("generic lifeboat-trigger", "generic mlflow-database", "generic seaweedfs-keys"):
        assert word in TEXTS["kubernetes"]


def test_both_pages_ask_the_same_first_question() -> None:
    asked = [[line for line in commands(name) if "lifeboat predict" in line] for name in PAGES]
    assert len(asked[0]) == 1
    assert asked[0] == asked[1]


def test_what_platform_sh_says_last_is_a_part_of_the_page() -> None:
    page, part = re.findall(r'Next: (\S+), \\"(.+?)\\"', SCRIPT)[0]
    assert re.search(part, (ROOT / page).read_text(), re.IGNORECASE)
