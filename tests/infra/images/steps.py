"""The compiled pipeline's steps run from their images, with the commands that Kubeflow gives them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from lifeboat.pipeline.compile import compile_pipeline
from tests.infra.images.engine import LOCKED, docker, image

# Where a step's files are, in its container.
DATA = "/data"
# An input that has another name than the output it comes from, in pipelines/lifeboat/pipeline/dag.py.
COMES_FROM = {"rows": "train_rows"}


class Steps:
    """Runs one step after the other; each finds what the ones before it made.

    Args:
        folder: holds all that the steps write.
        compiled: pipeline; this project's unless given.
    """

    def __init__(self, folder: Path, compiled: Path | None = None) -> None:
        self.folder = folder
        folder.chmod(0o777)  # the containers' user is another one
        if compiled is None:
            compiled = folder / "pipeline.yaml"
            compile_pipeline(compiled)
        self._specification = next(yaml.safe_load_all(compiled.read_text()))
        self._made: dict[str, Any] = {}

    def run(self, step: str, name: str = "", **parameters: Any) -> dict[str, Any]:
        """Runs a step in a container of an image, the step's own unless named; gives what it tells Kubeflow."""
        told = f"{step}-told.json"
        message = {
            "inputs": {"parameterValues": parameters, "artifacts": self._inputs(step)},
            "outputs": {"artifacts": self._outputs(step), "outputFile": f"{DATA}/{told}"},
        }
        container = self._specification["deploymentSpec"]["executors"][f"exec-{step}"]["container"]
        words = [word.replace("{{$}}", json.dumps(message)) for word in [*container["command"], *container["args"]]]
        docker(
            "run", "--rm", "--network=none", *LOCKED, "--tmpfs=/tmp", f"--volume={self.folder}:{DATA}",
            f"--env=LIFEBOAT_HOME={DATA}/home", f"--entrypoint={words[0]}", name or image(step), *words[1:],
        )  # fmt: skip
        path = self.folder / told
        return json.loads(path.read_text()) if path.exists() else {}

    def image_of(self, step: str) -> str:
        """The image that the compiled pipeline names for a step."""
        return str(self._specification["deploymentSpec"]["executors"][f"exec-{step}"]["container"]["image"])

    def _definitions(self, step: str, side: str) -> dict[str, Any]:
        component = self._specification["components"][f"comp-{step}"]
        found: dict[str, Any] = component.get(side, {}).get("artifacts", {})
        return found

    def _inputs(self, step: str) -> dict[str, Any]:
        return {name: self._made[COMES_FROM.get(name, name)] for name in self._definitions(step, "inputDefinitions")}

    def _outputs(self, step: str) -> dict[str, Any]:
        for name, definition in self._definitions(step, "outputDefinitions").items():
            artifact = {"name": name, "type": definition["artifactType"], "uri": f"{DATA}/{name}", "metadata": {}}
            self._made[name] = {"artifacts": [artifact]}
        return {name: self._made[name] for name in self._definitions(step, "outputDefinitions")}
