"""The programs that tests of the infrastructure run, and the report of one of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
# The Debian package of a tool that is had from one.
PACKAGES = {
    "amtool": "prometheus-alertmanager",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "promtool": "prometheus",
}


def tool(name: str) -> str:
    """Its path: in an environment of ours, on PATH, or where Go installs. Skips the test where it is nowhere."""
    places = [ROOT / ".venvs" / name / "bin", ROOT / ".venv" / "bin", *os.get_exec_path(), Path.home() / "go" / "bin"]
    found = shutil.which(name, path=os.pathsep.join(map(str, places)))
    if found is None:
        pytest.skip(f"{name} is not installed" + (f": apt-get install {PACKAGES[name]}" if name in PACKAGES else ""))
    return found


def checkov(framework: str, *arguments: str | Path) -> dict[str, Any]:
    """Its report on a framework's files, of which it could read all and found nothing wrong with any."""
    command = [tool("checkov"), "--framework", framework, *map(str, arguments), "--skip-download", "--quiet"]
    done = subprocess.run([*command, "--output", "json"], capture_output=True, text=True, timeout=300, check=False)
    report: dict[str, Any] = json.loads(done.stdout)
    failed = [f"{one['check_id']} {one['resource']}: {one['check_name']}" for one in report["results"]["failed_checks"]]
    assert not failed
    assert report["summary"]["parsing_errors"] == 0
    return report
