"""The programs that the platform's charts install, built once from their Go modules.

The build takes minutes; its result is kept beside the API server of tests/cluster.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import apiserver


@dataclass(frozen=True)
class Program:
    """A command of a Go module.

    Args:
        name: of the program.
        module, version: of its module.
        command: its package below the module.
        tags: of its build.
    """

    name: str
    module: str
    version: str
    command: str
    tags: str = ""

    @property
    def binary(self) -> Path:
        """Where the built program is kept."""
        return apiserver.binary().with_name(f"{self.name}-{self.version}")


# What the charts kube-prometheus-stack 87.17.0 and prometheus-adapter 5.3.0 install. Debian's own Prometheus is built
# without Kubernetes, so it takes no configuration of the operator.
OPERATOR = Program(
    "prometheus-operator", "github.com/prometheus-operator/prometheus-operator", "0.92.1", "cmd/operator"
)
PROMETHEUS = Program(
    "prometheus", "github.com/prometheus/prometheus", "0.313.1", "cmd/prometheus", "remove_all_sd,enable_kubernetes_sd"
)
ADAPTER = Program("prometheus-adapter", "sigs.k8s.io/prometheus-adapter", "0.12.0", "cmd/adapter")


def missing() -> list[str]:
    """The tools that are needed and not here; the modules' sources are needed as well as their programs."""
    return [name for name in ("go",) if not shutil.which(name, path=_environment()["PATH"])]


def build(program: Program) -> Path:
    """Builds a program if it is not there yet, with the versions that its module asks for."""
    if not program.binary.exists():
        folder = program.binary.with_name(f"build-{program.name}-{program.version}")
        folder.mkdir(parents=True, exist_ok=True)
        required = f"require {program.module} v{program.version}\n"
        (folder / "go.mod").write_text(f"module lifeboat/{program.name}\n\n{required}")
        # As their makefiles do: a program names itself by its version.
        stamp = f"-X github.com/prometheus/common/version.Version={program.version}"
        made = Path(f"{program.binary}.new")
        command = ["go", "build", "-trimpath", f"-tags={program.tags}", "-ldflags", f"-s -w {stamp}", "-o", str(made)]
        subprocess.run([*command, f"{program.module}/{program.command}"], cwd=folder, env=_environment(), check=True)
        made.replace(program.binary)
    return program.binary


def source(program: Program) -> Path:
    """The folder of a program's module."""
    command = ["go", "mod", "download", "-json", f"{program.module}@v{program.version}"]
    done = subprocess.run(
        command, cwd=apiserver.binary().parent, env=_environment(), check=True, capture_output=True, text=True
    )
    return Path(json.loads(done.stdout)["Dir"])


def _environment() -> dict[str, str]:
    path = f"{os.environ['PATH']}:/usr/local/go/bin"
    return {**os.environ, "PATH": path, "GOFLAGS": "-mod=mod"}
