"""Tiny bundles with a lineage, and what the registry asks for beside them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import onnxruntime

from components.core.bundle import GOLDEN, MODEL, REFERENCE, SCHEMA, Bundle, open_bundle, write_bundle
from components.core.errors import RegistryError
from components.core.gates import Criterion, Verdict
from components.core.registry import Registry, Version
from components.core.settings import Settings
from tests.serving.world import ROW, TINY, expected, graph

ROOT = Path(__file__).resolve().parents[2]
METRICS = {"roc_auc": 0.9, "log_loss": 0.4}


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
        "training": {"candidate": "linear", "calibration": {"kind": "none"}, "parameters": {"C": 0.3}},
    }
    write_bundle(directory, files, manifest)
    return open_bundle(directory)


def verdict(bundle: Bundle, *, passed: bool = True) -> Verdict:
    """A verdict of one criterion."""
    why = "0.9000, asked: at least 0.8" if passed else "0.7000, asked: at least 0.8"
    return Verdict(bundle.digest, None, passed, (Criterion("roc_auc", 0.9, 0.8, passed, why),))


def register(registry: Registry, bundle: Bundle, *, passed: bool = True, reason: str = "manual") -> Version:
    """Registers a bundle with a report."""
    reports = bundle.directory.parent / f"{bundle.directory.name} reports"
    reports.mkdir(exist_ok=True)
    (reports / "model-card.md").write_text("# tiny\n")
    return registry.register(bundle, verdict(bundle, passed=passed), METRICS, reports, reason=reason)


RACER = """
import sys
from components.core.registry import Registry, Version
from components.core.settings import read_settings
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
