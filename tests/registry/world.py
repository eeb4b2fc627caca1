"""Tiny bundles with a lineage, and what the registry asks for beside them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import onnxruntime

from lifeboat.config.errors import RegistryError
from lifeboat.config.settings import Settings
from lifeboat.model.bundle import GOLDEN, MODEL, REFERENCE, SCHEMA, Bundle, open_bundle, write_bundle
from lifeboat.registry.mlflow_run import LoggedData
from lifeboat.registry.registry import CHAMPION, PREVIOUS, Registry
from lifeboat.registry.versions import Version
from lifeboat.usecase.gates import Criterion, Verdict
from tests.server.world import ROW, TINY, expected, graph

ROOT = Path(__file__).resolve().parents[2]
METRICS = {"roc_auc": 0.9, "log_loss": 0.4}
TRIALS = [
    {"candidate": "linear", "parameters": {"C": 0.3}, "log_loss": 0.41, "roc_auc": 0.88},
    {"candidate": "forest", "parameters": {"forest__depth": 3}, "log_loss": 0.44, "roc_auc": 0.86},
]


def make_bundle(directory: Path, bias: float = 0.0) -> Bundle:
    """A bundle of the model server's tiny model; another bias makes another digest."""
    survived = expected(22.5, bias, "C")
    golden = [{"row": ROW, "probabilities": [1 - survived, survived]}]
    files = {
        MODEL: graph(bias=bias),
        SCHEMA: TINY.to_json().encode(),
        REFERENCE: b"",
        GOLDEN: json.dumps(golden).encode(),
    }
    manifest = {
        "usecase": "tiny",
        "versions": {"onnxruntime": onnxruntime.__version__},
        "lineage": {"data": {"digest": "d" * 64}, "code": "c" * 40, "seed": 7},
        "training": {
            "candidate": "linear",
            "calibration": {"kind": "none"},
            "parameters": {"C": 0.3},
            "cross_validation": {"rows": 700, "folds": 5, "log_loss": 0.41, "roc_auc": 0.88},
            "trials": TRIALS,
            "given_up": [
                {"candidate": "linear", "parameters": {"C": 9.0}, "folds": 2, "log_loss": 0.9, "roc_auc": 0.5}
            ],
        },
    }
    write_bundle(directory, files, manifest)
    return open_bundle(directory)


def verdict(bundle: Bundle, *, passed: bool = True) -> Verdict:
    """A verdict of one criterion."""
    why = "0.9000, asked: at least 0.8" if passed else "0.7000, asked: at least 0.8"
    return Verdict(bundle.digest, None, passed, (Criterion("roc_auc", 0.9, 0.8, passed, why),))


def register(
    registry: Registry,
    bundle: Bundle,
    *,
    passed: bool = True,
    reason: str = "manual",
    data: Sequence[LoggedData] = (),
) -> Version:
    """Registers a bundle with a report."""
    reports = bundle.directory.parent / f"{bundle.directory.name} reports"
    reports.mkdir(exist_ok=True)
    (reports / "model-card.md").write_text("# tiny\n")
    return registry.register(bundle, verdict(bundle, passed=passed), METRICS, reports, reason=reason, data=data)


RACER = """
import sys
from lifeboat.registry.registry import Registry
from lifeboat.registry.versions import Version
from lifeboat.config.settings import read_settings
from tests.registry.world import promote_slowly
registry = Registry(read_settings())
print("ready", flush=True)
sys.stdin.readline()
print(promote_slowly(registry, Version("tiny", sys.argv[1], sys.argv[2], "")))
"""


def race(settings: Settings, ours: Version, theirs: Version) -> list[str]:
    """Two processes promote the first champion at once; what either says: 'won', or why not."""
    registry = Registry(settings)
    with subprocess.Popen(
        [sys.executable, "-c", RACER, theirs.version, theirs.digest], cwd=ROOT,
        env={**os.environ, **settings.environment()}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        assert other.stdin
        assert other.stdout
        assert other.stdout.readline() == "ready\n"
        other.stdin.write("go\n")
        other.stdin.flush()
        return [promote_slowly(registry, ours), other.communicate(timeout=60)[0].strip()]


def promote_slowly(registry: Registry, version: Version) -> str:
    """Promotes the first champion, with half a second between reading an alias and acting on it: 'won', or why not."""
    read = registry.aliased

    def slowly(name: str, alias: str) -> Version | None:
        found = read(name, alias)
        time.sleep(0.5)
        return found

    registry.aliased = slowly  # type: ignore[method-assign]
    try:
        registry.promote(version, expected=None)
    except RegistryError as error:
        return str(error)
    finally:
        registry.aliased = read  # type: ignore[method-assign]
    return "won"


def aliases(registry: Registry) -> tuple[str | None, ...]:
    """Version numbers of the champion and the previous one."""
    found = [registry.aliased("tiny", alias) for alias in (CHAMPION, PREVIOUS)]
    return tuple(version.version if version else None for version in found)


class Target:
    """A place to serve that notes the order of things."""

    def __init__(self, registry: Registry) -> None:
        self.registry, self.seen = registry, list[Any]()

    def turn(self, name: str, say: Any) -> AbstractContextManager[None]:
        return nullcontext()

    def roll_out(self, bundle: Any, version: Version, commit: Any, say: Any) -> str:
        self.seen.append((version.version, bundle.digest, aliases(self.registry)))
        commit()
        say("done")
        return "http://there"
