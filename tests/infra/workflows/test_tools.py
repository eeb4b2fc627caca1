"""The workflows' tools, with stand-ins for docker, cosign, gcloud, gh and helm that note how they were called."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
TOOLS = ROOT / ".github" / "tools"
NAMES = ("components", "drift-detector", "explainer", "model-server", "retrain-trigger", "tracking")
DIGESTS = {name: f"sha256:{number:064x}" for number, name in enumerate(NAMES)}
STAND_IN = """#!{python}
import json, os, sys
name = os.path.basename(sys.argv[0])
with open(os.environ["CALLS"], "a") as file:
    print(name, *sys.argv[1:], file=file)
if name == os.environ.get("FAILS"):
    sys.exit(7)
if "--metadata-file" in sys.argv:
    target = sys.argv[sys.argv.index("--target") + 1]
    digests = json.loads(os.environ["DIGESTS"])
    with open(sys.argv[sys.argv.index("--metadata-file") + 1], "w") as file:
        json.dump({{"containerimage.digest": digests[target]}}, file)
"""


@dataclass(frozen=True)
class World:
    """A folder with a digests file, and the stand-ins on PATH."""

    folder: Path
    environment: dict[str, str]

    @property
    def digests(self) -> Path:
        return self.folder / "digests.json"

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    def run(self, script: str, *arguments: str, code: int = 0, **more: str) -> str:
        done = subprocess.run(
            [str(TOOLS / script), *arguments],
            cwd=self.folder, env={**self.environment, **more}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def images(self, verb: str, *flags: str, code: int = 0, **more: str) -> str:
        return self.run("images.py", verb, "--root", str(self.folder), *flags, str(self.digests), code=code, **more)


@pytest.fixture
def world(tmp_path: Path) -> World:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("docker", "cosign", "gcloud", "gh", "helm", "kubectl", "kind"):
        (programs / name).write_text(STAND_IN.format(python=sys.executable))
        (programs / name).chmod(0o755)
    (tmp_path / "digests.json").write_text(json.dumps(DIGESTS))
    shutil.copytree(ROOT / "kustomize" / "overlays", tmp_path / "kustomize" / "overlays")
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
                   "CALLS": str(tmp_path / "calls"), "DIGESTS": json.dumps(DIGESTS)}  # fmt: skip
    return World(tmp_path, environment)


def test_each_image_is_built_once_with_sbom_and_provenance_and_pushed_without_a_tag(world: World) -> None:
    world.digests.unlink()
    world.images("push", "--registry", "r.dev/p/lifeboat", "--revision", "abc")
    assert json.loads(world.digests.read_text()) == DIGESTS
    assert [call.split()[:3] for call in world.calls] == [["docker", "build", "--quiet"]] * len(NAMES)
    for name, call in zip(NAMES, world.calls, strict=True):
        words = ("--sbom=true", "--provenance=mode=max", f"name=r.dev/p/lifeboat/{name},push=true,push-by-digest=true")
        assert all(word in call for word in (*words, "REVISION=abc", f"--target {name} ")), call
        assert "--tag" not in call


def test_every_target_stands_in_the_dockerfile_that_it_is_built_from(world: World) -> None:
    world.images("push", "--registry", "r", "--revision", "abc")
    for call in world.calls:
        words = call.split()
        file, target = words[words.index("--file") + 1], words[words.index("--target") + 1]
        assert f" AS {target}\n" in (ROOT / file).read_text()


@pytest.mark.parametrize(
    ("verb", "flags", "beginning"),
    [
        ("sign", (), "cosign sign --yes r/tracking@sha256:"),
        ("verify", ("--signer", "w"), "cosign verify --certificate-identity w --certificate-oidc-issuer https://token"),
        ("attest", ("--attestor", "a", "--key", "k"), "gcloud --quiet container binauthz attestations sign-and-create"),
    ],
)
def test_all_images_are_signed_by_digest(world: World, verb: str, flags: tuple[str, ...], beginning: str) -> None:
    world.images(verb, "--registry", "r", *flags)
    assert world.calls[-1].startswith(beginning)
    for (name, digest), call in zip(DIGESTS.items(), world.calls, strict=True):
        assert f"r/{name}@{digest}" in call


def test_a_signature_that_does_not_hold_ends_it_at_once(world: World) -> None:
    assert "cosign ended with 7" in world.images("verify", "--registry", "r", "--signer", "w", code=1, FAILS="cosign")
    assert len(world.calls) == 1


def test_a_copy_keeps_the_digest_and_is_looked_up_by_it(world: World) -> None:
    world.images("copy", "--registry", "r", "--to", "s", "--tag", "v1")
    assert world.calls[0] == f"cosign copy r/components@{DIGESTS['components']} s/components:v1"
    assert world.calls[1] == f"docker buildx imagetools inspect s/components@{DIGESTS['components']}"


@pytest.mark.parametrize("overlay", ["staging", "production"])
def test_an_overlay_is_bumped_to_the_digests_and_read_back(world: World, overlay: str) -> None:
    for registry in ("old.dev/p/lifeboat", "r.dev/p/lifeboat"):
        world.images("bump", "--overlay", overlay, "--registry", registry)
    text = (world.folder / "kustomize" / "overlays" / overlay / "kustomization.yaml").read_text()
    images = {entry["name"]: (entry["newName"], entry["digest"]) for entry in yaml.safe_load(text)["images"]}
    assert images == {f"lifeboat/{name}": (f"r.dev/p/lifeboat/{name}", DIGESTS[name]) for name in NAMES[1:]}
    assert f"value: r.dev/p/lifeboat/components@{DIGESTS['components']}\n" in text
    assert "newTag" not in text
    world.digests.unlink()
    world.images("read", "--overlay", overlay)
    assert json.loads(world.digests.read_text()) == DIGESTS


def test_an_overlay_of_tags_has_no_digests_to_release(world: World) -> None:
    assert "names no digest of components" in world.images("read", "--overlay", "kind", code=1)


@pytest.mark.parametrize("digests", [{}, DIGESTS | {"tracking": "v1"}, DIGESTS | {"stranger": "sha256:" + "0" * 64}])
def test_other_digests_are_refused(world: World, digests: dict[str, str]) -> None:
    world.digests.write_text(json.dumps(digests))
    assert "does not hold one digest each" in world.images("sign", "--registry", "r", code=1)


def test_an_image_that_an_overlay_does_not_name_is_no_success(world: World) -> None:
    file = world.folder / "kustomize" / "overlays" / "staging" / "kustomization.yaml"
    file.write_text(file.read_text().replace("lifeboat/tracking,", "lifeboat/mlflow,"))
    said = world.images("bump", "--overlay", "staging", "--registry", "r", code=1)
    assert "kustomize/overlays/staging/kustomization.yaml names tracking 0 times" in said


def test_plans_become_one_comment_that_nothing_in_them_breaks_open(world: World) -> None:
    for environment, text in {"staging": "~~~\nPlan: 1 to add.\n````````\n", "production": "x" * 90_000}.items():
        (world.folder / "plans" / f"plan-{environment}").mkdir(parents=True)
        (world.folder / "plans" / f"plan-{environment}" / f"plan-{environment}.txt").write_text(text)
    said = world.run("plan_comment.py", "plans")
    assert "<b>staging</b>: Plan: 1 to add.</summary>" in said
    assert "<b>production</b>: no plan: see the job</summary>" in said
    assert "first 60,000 characters are left out" in said
    assert said.count("`" * 8) == 4
    assert len(said) < 65_536


def test_kind_gets_the_platforms_istio(world: World) -> None:
    world.run("kind.sh")
    version = re.search(r"ISTIO_VERSION=(\S+)", (ROOT / "terraform" / "platform.sh").read_text())
    assert version
    charts = [call.split() for call in world.calls if call.startswith("helm ")]
    assert [words[3] for words in charts] == ["base", "istiod", "gateway"]
    assert {words[words.index("--version") + 1] for words in charts} == {version[1]}


def test_a_page_is_followed_command_by_command(world: World) -> None:
    (world.folder / "page.md").write_text(
        "# Page\n\n## One\n\n    echo no\n\n## Two\n\nWords.\n\n    echo a\n    forward &\n    echo b \\\n      c\n"
    )
    assert world.run("follow.py", "page.md", "Two") == "echo a\nforward &\nsleep 5\necho b \\\n  c\n"
    assert world.run("follow.py", "page.md", "Two", "--skip", "echo a", "--until", "echo b") == "forward &\nsleep 5\n"
    assert world.run("follow.py", "page.md", "Two", "--from", "echo b") == "echo b \\\n  c\n"
    assert "0 sections 'Three'" in world.run("follow.py", "page.md", "Three", code=1)
    assert "2 commands begin with 'echo'" in world.run("follow.py", "page.md", "Two", "--from", "echo", code=1)


def test_the_cluster_job_can_follow_the_page() -> None:
    """Its cuts are where the page has these commands, and what is left is bash."""
    job = yaml.safe_load((ROOT / ".github" / "workflows" / "cluster.yaml").read_text())["jobs"]["kind"]
    followed = [step["run"] for step in job["steps"] if "follow.py" in step.get("run", "")]
    assert len(followed) == 2
    for command in followed:
        script = subprocess.run(
            ["bash", "-c", command.partition("|")[0]],
            cwd=ROOT, env={**os.environ, "SECTION": job["env"]["SECTION"]}, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        assert script.count("\n") > 2
        assert "make images" not in script
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


class TestOffer:
    """A checkout whose remote is a bare repository beside it."""

    @pytest.fixture
    def clone(self, world: World) -> Path:
        git("init", "--quiet", "--bare", "remote.git", at=world.folder)
        git("init", "--quiet", "--initial-branch=main", "clone", at=world.folder)
        clone = world.folder / "clone"
        shutil.copytree(world.folder / "kustomize", clone / "kustomize")
        git("add", ".", at=clone)
        git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "start", at=clone)
        git("remote", "add", "origin", "../remote.git", at=clone)
        return clone

    def test_a_change_becomes_a_branch_and_a_pull_request(self, world: World, clone: Path) -> None:
        file = clone / "kustomize" / "overlays" / "staging" / "kustomization.yaml"
        file.write_text(file.read_text() + "# changed\n")
        (clone / "stray").write_text("not ours")
        offer(world, clone)
        changed = git("show", "--name-only", "--format=%s", "release/staging", at=world.folder / "remote.git")
        assert changed.split("\n") == [
            "staging: the images of abc",
            "",
            "kustomize/overlays/staging/kustomization.yaml",
        ]
        assert world.calls[-1].startswith("gh pr create --head release/staging --base main")

    def test_no_change_offers_nothing(self, world: World, clone: Path) -> None:
        assert "has these images already" in offer(world, clone)
        assert not (world.folder / "calls").exists()


def git(*arguments: str, at: Path) -> str:
    done = subprocess.run(["git", *arguments], cwd=at, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def offer(world: World, clone: Path) -> str:
    done = subprocess.run(
        [str(TOOLS / "offer.sh"), "staging", "abc"],
        cwd=clone, env=world.environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout
