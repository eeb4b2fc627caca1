"""What can be said of the Dockerfiles without an engine."""

from __future__ import annotations

import re
import subprocess
import tomllib

import pytest

from tests.architecture.test_imports import closure, module_path, short, sources
from tests.infra.images.engine import DOCKERFILES, FOLDER, ROOT, arguments_of
from tests.infra.tools import tool

BOTH = pytest.mark.parametrize("folder", DOCKERFILES)
EACH = pytest.mark.parametrize("target", FOLDER)
PROGRAMS = {
    **{step: step for step in ("preprocess", "train", "evaluate", "deploy")},
    "model-server": "server", "explainer": "explainer", "drift-detector": "detector", "retrain-trigger": "trigger",
}  # fmt: skip
STAGE = re.compile(r"^FROM (\S+)(?: AS (\S+))?$", re.MULTILINE)


def text_of(folder: str) -> str:
    return (ROOT / folder / "Dockerfile").read_text()


def stages(folder: str) -> dict[str, tuple[str, str]]:
    """Each stage's parent and its own lines."""
    text = text_of(folder)
    found = list(STAGE.finditer(text))
    ends = [match.start() for match in found[1:]] + [len(text)]
    return {match[2]: (match[1], text[match.end() : end]) for match, end in zip(found, ends, strict=True)}


def lines_of(target: str, folder: str = "") -> list[str]:
    """The lines of a stage and of all it is made from, its own last."""
    known, name, lines = stages(folder or FOLDER[target]), target, list[str]()
    while name in known:
        name, own = known[name]
        lines = [*own.splitlines(), *lines]
    return lines


@BOTH
def test_every_stage_starts_from_the_pinned_base_from_nothing_or_from_another_stage(folder):
    known = stages(folder)
    assert {parent for parent, _ in known.values()} <= {"${PYTHON_IMAGE}", "scratch", *known}
    assert re.fullmatch(
        r"docker\.io/library/python:3\.11-[a-z-]+@sha256:[0-9a-f]{64}", arguments_of(folder)["PYTHON_IMAGE"]
    )
    assert ":latest" not in text_of(folder)


def test_both_start_from_the_same_base_with_the_makefiles_uv():
    components, serving = (arguments_of(folder) for folder in DOCKERFILES)
    compiler = serving.pop("GRPC_TOOLS_VERSION")
    assert components == serving
    assert f'"grpcio-tools=={compiler}"' in (ROOT / "pyproject.toml").read_text()
    assert f"UV_VERSION := {components['UV_VERSION']}\n" in (ROOT / "Makefile").read_text()


@EACH
def test_a_target_runs_as_a_number_that_is_not_root(target):
    users = [line.split()[1] for line in lines_of(target) if line.startswith("USER ")]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", users[-1])


@EACH
def test_a_target_starts_a_program_and_no_shell(target):
    starts = [line for line in lines_of(target) if line.startswith("ENTRYPOINT ")]
    assert re.fullmatch(r'ENTRYPOINT \["(python3|mlflow)".*\]', starts[-1])
    assert "HEALTHCHECK NONE" in lines_of(target)
    assert any(line.startswith("STOPSIGNAL ") for line in lines_of(target))


@EACH
def test_a_target_takes_packages_from_the_lock_only(target):
    installs = [line for line in text_of(FOLDER[target]).splitlines() if "uv sync" in line]
    assert installs
    assert all("uv sync --locked --no-dev --no-install-project " in line for line in installs)
    assert not re.search(r"pip install(?!.*uv==)", "\n".join(lines_of(target)))


@BOTH
def test_every_extra_and_group_is_one_of_the_projects(folder):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for flag, known in (
        ("extra", project["project"]["optional-dependencies"]),
        ("group", project["dependency-groups"]),
    ):
        assert set(re.findall(rf"--{flag} (\S+)", text_of(folder))) <= set(known)


@BOTH
def test_no_index_no_proxy_and_no_password_of_any_machine_is_named(folder):
    assert not re.search(r"index-url|INDEX_URL|DEFAULT_INDEX|find-links|http_proxy|PASSWORD|TOKEN|://", text_of(folder))


@BOTH
def test_what_is_copied_is_let_through_and_there(folder):
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for line in text_of(folder).splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert list(ROOT.glob(source)), source
                assert f"!{source.split('/')[0]}" in ignored


@pytest.mark.parametrize(("target", "program"), PROGRAMS.items())
def test_an_image_holds_every_module_that_its_program_imports(target, program):
    lines = lines_of(target)
    if "COPY --from=code /app ." in lines:
        lines += lines_of("code", FOLDER[target])
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY ") and "--from" not in line]
    held = {path for parts in copied for part in parts for path in ROOT.glob(part)}
    for name in closure(sources(program)):
        path = module_path(name) if name.startswith("lifeboat.") else None
        assert path is None or held & {path, *path.parents}, f"{short(path)} is not in {target}"


@BOTH
def test_hadolint_finds_nothing_that_is_not_excused(folder):
    done = subprocess.run(
        [tool("hadolint"), str(ROOT / folder / "Dockerfile")], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout
