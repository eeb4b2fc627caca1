"""The notebooks run as a person runs them: after a real `lifeboat run`, top to bottom, in this environment."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from traitlets.config import Config

from tests.pipelines.test_run import Laptop

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
Executed = Callable[[str, Laptop], "Outputs"]


class Outputs:
    """What a notebook showed.

    Args:
        notebook: executed.
    """

    def __init__(self, notebook: Any) -> None:
        self._all = [output for cell in notebook.cells for output in cell.get("outputs", [])]

    @property
    def plots(self) -> int:
        return sum("image/png" in output.get("data", {}) for output in self._all)

    @property
    def text(self) -> str:
        """All that was printed or is a cell's last value, without colours."""
        parts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in self._all]
        return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(parts))

    @property
    def pages(self) -> list[str]:
        return [page for output in self._all if "iframe" in (page := output.get("data", {}).get("text/html", ""))]

    @property
    def warnings(self) -> str:
        return "".join(output["text"] for output in self._all if output.get("name") == "stderr")


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    """A home in which a champion serves and a detector watches."""
    laptop = Laptop(tmp_path_factory.mktemp("served"))
    laptop.lifeboat("run", "--require-deploy")
    yield laptop
    laptop.lifeboat("stop")


@pytest.fixture
def execute(tmp_path: Path) -> Executed:
    """Runs a notebook in its folder; an error in a cell is raised with the cell."""

    def run(name: str, laptop: Laptop) -> Outputs:
        notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
        # Sockets in the file system: no port is taken, and nobody else can speak to the kernel.
        config = Config({"KernelManager": {"transport": "ipc", "connection_file": str(tmp_path / "kernel.json")}})
        client = NotebookClient(
            notebook,
            timeout=240,
            resources={"metadata": {"path": str(NOTEBOOKS)}},
            kernel_name="python3",
            config=config,
        )
        private = {name: str(tmp_path / name) for name in ("IPYTHONDIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
        client.execute(env={**laptop.environment, **private})
        return Outputs(notebook)

    return run
