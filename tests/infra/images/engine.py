"""A Docker engine, the images that are built with it, and containers locked as Kubernetes locks them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
STAND_IN = "lifeboat-base:test"
# Kubernetes' restricted profile, as Docker says it, and nothing but the network of this machine.
LOCKED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
WRITABLE = ("--tmpfs=/tmp", "--tmpfs=/var/lib/lifeboat:uid=10001,gid=10001")
DOCKERFILES = {
    "components": ("preprocess", "train", "evaluate", "deploy", "components", "tracking"),
    "serving": ("model-server", "explainer", "drift-detector", "retrain-trigger"),
}
FOLDER = {target: folder for folder, targets in DOCKERFILES.items() for target in targets}


def arguments_of(folder: str) -> dict[str, str]:
    """The build arguments of a Dockerfile with their defaults; the first of a name."""
    found: dict[str, str] = {}
    for line in (ROOT / folder / "Dockerfile").read_text().splitlines():
        if line.startswith("ARG "):
            name, _, value = line.removeprefix("ARG ").partition("=")
            found.setdefault(name, value)
    return found


@cache
def client() -> str:
    """A Docker client whose engine answers and which can use BuildKit; skips where there is none."""
    for path in dict.fromkeys(filter(None, (shutil.which("docker"), "/usr/bin/docker"))):
        if (
            Path(path).exists()
            and _run([path, "build", "--quiet", "-"], stdin="FROM scratch\nLABEL a=b\n").returncode == 0
        ):
            return path
    pytest.skip("no Docker engine answers here")


@cache
def base() -> str:
    """The image to build from: the stand-in if it was made, else the pinned one; skips where neither is to be had."""
    if docker("image", "inspect", STAND_IN, check=False).returncode == 0:
        return STAND_IN
    pinned = arguments_of("serving")["PYTHON_IMAGE"]
    if docker("pull", "--quiet", pinned, check=False).returncode == 0:
        return pinned
    pytest.skip(f"no base image: neither {STAND_IN} nor {pinned} is to be had here")


@cache
def image(target: str) -> str:
    """Builds a target and gives its name."""
    name, folder = f"lifeboat/{target}:test", FOLDER[target]
    docker(
        "build", "--quiet", "--network=host", "--file", f"{folder}/Dockerfile", "--target", target, "--tag", name,
        "--build-arg", f"PYTHON_IMAGE={base()}", "--build-arg", "REVISION=tested", ".",
    )  # fmt: skip
    return name


def inspect(target: str) -> dict[str, Any]:
    """What Docker knows of an image."""
    found: dict[str, Any] = json.loads(docker("image", "inspect", image(target)).stdout)[0]
    return found


def docker(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs Docker's client; a failure shows what it said."""
    done = _run([client(), *words])
    assert not check or done.returncode == 0, (
        f"docker {' '.join(words)[:300]}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    )
    return done


def _run(command: list[str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
    return subprocess.run(
        command, cwd=ROOT, env=environment, input=stdin, capture_output=True, text=True, timeout=900, check=False
    )


def shell_in(target: str, script: str) -> str:
    """What a script of Python prints in a container of an image."""
    words = ("run", "--rm", "--network=none", *LOCKED, "--entrypoint=python3", image(target), "-c", script)
    return docker(*words).stdout


@contextmanager
def container(target: str, *words: str, options: tuple[str, ...] = ()) -> Iterator[str]:
    """A locked container that runs until the end of the block, where it must end well when it is told to."""
    name = docker("run", "--detach", "--network=host", *LOCKED, *options, image(target), *words).stdout.strip()
    try:
        yield name
        docker("stop", "--time=40", name)
        state = json.loads(docker("inspect", name).stdout)[0]["State"]
        assert state["ExitCode"] == 0, docker("logs", name).stderr[-3000:]
    except BaseException:
        print(docker("logs", name, check=False))
        raise
    finally:
        docker("rm", "--force", name, check=False)


def ask(url: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
    """The JSON of an answer, or its text."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read().decode()
    except urllib.error.HTTPError as error:
        text = error.read().decode()
    try:
        return json.loads(text)
    except ValueError:
        return text


def wait_for(url: str, seconds: float = 60.0) -> Any:
    """The answer of a server that comes up within the time."""
    end = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
