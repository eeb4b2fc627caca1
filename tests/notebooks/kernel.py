"""Runs a notebook as a person does, top to bottom, in this environment."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

from tests.pipeline.laptop import Laptop

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


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


def execute(name: str, laptop: Laptop, folder: Path) -> Outputs:
    """Runs a notebook where it is, with its kernel's files in a folder; an error in a cell is raised with the cell."""
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    # Sockets in the file system: no port is taken, and nobody else can speak to the kernel.
    config = Config({"KernelManager": {"transport": "ipc", "connection_file": str(folder / "kernel.json")}})
    resources = {"metadata": {"path": str(NOTEBOOKS)}}
    client = NotebookClient(notebook, timeout=240, resources=resources, kernel_name="python3", config=config)
    private = {name: str(folder / name) for name in ("IPYTHONDIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
    # MLflow has a bar drawn by tqdm, which the extra `search` brings and ipywidgets would draw here.
    quiet = {"PYTHONWARNINGS": "ignore:IProgress not found"}
    client.execute(env={**laptop.environment, **private, **quiet})
    return Outputs(notebook)
