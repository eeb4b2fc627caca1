"""The wheel by itself: from an empty environment and a raw table to an answered prediction, without a checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.project.penguins import write_penguins

ROOT = Path(__file__).resolve().parents[2]
UV = str(Path(sys.executable).with_name("uv"))
# Those that go together in one environment, and one import of each that its extra is for.
EXTRAS = {
    "pipeline": "lifeboat.cli.verbs, lifeboat.pipeline.dag, lifeboat.testing",
    "serving": "lifeboat.server.service, lifeboat.supervisor.__main__",
    "trigger": "lifeboat.trigger.service, lifeboat.pipeline.compile",
    "tracking": "mlflow",
    "pipeline,serving,notebook": "lifeboat.cli.verbs, lifeboat.server.service, lifeboat.notebook.jupyter, jupyterlab",
}
pytestmark = pytest.mark.slow


def run(command: list[str], folder: Path, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=900, check=False,
        env={**{name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}, **environment},
    )  # fmt: skip
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    run([UV, "build", "--quiet", "--out-dir", str(folder), str(ROOT)], ROOT)
    [built], [source] = folder.glob("*.whl"), folder.glob("*.tar.gz")
    assert built.name.split("-")[1] in source.name
    return built


def pythons() -> list[str]:
    """The versions that the machine has, of those that the package is for."""
    listed = subprocess.run([UV, "python", "list", "--only-installed", "--output-format", "json"],
                            capture_output=True, text=True, check=True)  # fmt: skip
    found = {"{major}.{minor}".format(**one["version_parts"]) for one in json.loads(listed.stdout)}
    return sorted(found & {"3.11", "3.12", "3.13"})


@pytest.mark.parametrize("version", pythons())
@pytest.mark.parametrize("extras", EXTRAS)
def test_each_extra_holds_what_its_program_imports(tmp_path, wheel, extras, version):
    run([UV, "venv", "--quiet", "--no-project", "--python", version, "env"], tmp_path)
    run(
        [UV, "pip", "install", "--quiet", "--python", "env/bin/python", f"lifeboat[{extras}] @ {wheel.as_uri()}"],
        tmp_path,
    )
    imported = EXTRAS[extras]
    run(["env/bin/python", "-c", f"import {imported}"], tmp_path)
    version_said = run(
        ["env/bin/python", "-c", "from importlib.metadata import version; print(version('lifeboat'))"], tmp_path
    )
    assert version_said.strip() == wheel.name.split("-")[1]


def commands(wheel: Path) -> str:
    """The three of docs/own-table.md, with this wheel in the place of the package index's."""
    page = (ROOT / "docs" / "own-table.md").read_text().splitlines()
    first = [line.strip() for line in page if line.startswith("    ")][:3]
    text = "\n".join(first)
    assert text.count("uvx --from 'lifeboat[pipeline]'") == 1
    return text.replace("uvx", f"{UV} tool run").replace("lifeboat[pipeline]", f"lifeboat[pipeline] @ {wheel.as_uri()}")


def test_a_raw_table_becomes_an_answering_endpoint_by_three_commands(tmp_path, wheel):
    write_penguins(tmp_path)
    port, metrics, detector = (free_port() for _ in range(3))
    environment = {
        "XDG_CACHE_HOME": str(tmp_path / "cache"), "UV_CACHE_DIR": run([UV, "cache", "dir"], tmp_path).strip(),
        "LIFEBOAT_PORT": str(port), "LIFEBOAT_METRICS_PORT": str(metrics), "LIFEBOAT_DETECTOR_PORT": str(detector),
    }  # fmt: skip
    start = time.monotonic()
    project = tmp_path / "species"
    try:
        shown = run(["bash", "-euc", commands(wheel)], tmp_path, **environment)
        assert "Deployed species version 1, the new champion." in shown
        row = {"island": "Dream", "bill_length_mm": 49.0, "bill_depth_mm": 19.5, "flipper_length_mm": 210,
               "body_mass_g": 3950, "sex": "male", "year": 2008}  # fmt: skip
        body = {"data": {"names": list(row), "ndarray": [list(row.values())]}}
        request = urllib.request.Request(f"http://127.0.0.1:{port}/api/v1.0/predictions", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})  # fmt: skip
        with urllib.request.urlopen(request, timeout=10) as answer:
            said = json.load(answer)
        print(f"from a raw table to an answer: {time.monotonic() - start:.0f} s")
        assert said["data"]["names"] == ["Adelie", "Chinstrap"]
        assert said["data"]["ndarray"][0][1] > 0.5
        assert "4 passed" in run(["make", "test"], project, **environment)
        # The servers run in environments of their own, made once, and the verbs work from any folder of the project.
        made = {path.name.partition("-")[0] for path in (tmp_path / "cache" / "lifeboat").iterdir() if path.is_dir()}
        assert made == {"drift", "serving"}
        assert "species" in run([str(project / ".venv/bin/lifeboat"), "status"], project / "src", **environment)
        frame = repr({name: [value] for name, value in row.items()})
        ask = (
            f"import pandas as pd; from lifeboat.api import Client, load; frame = pd.DataFrame({frame}); "
            f"client = Client('http://127.0.0.1:{port}'); "
            "here, there = load('species@champion').predict(frame), client.predict(frame); "
            "print(here.equals(there), here['prediction'][0])"
        )
        assert run([str(project / ".venv/bin/python"), "-c", ask], project, **environment).strip() == "True Chinstrap"
    finally:
        if project.is_dir():
            run(["make", "stop"], project, **environment)
