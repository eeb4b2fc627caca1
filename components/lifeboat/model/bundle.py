"""The bundle: the one thing that crosses from training to serving.

A directory with `model.onnx`, `schema.json`, `reference.parquet`, `golden.json` and `bundle.json`. The last one, the
manifest, holds the sha256 of every other file, the lineage, and one digest over all of that; it holds no time and
nothing that depends on other models (metrics against a champion, the gate's verdict), so that the same data, code and
seed give the same digest. The verdict names the digest it belongs to.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifeboat.config.errors import BundleError
from lifeboat.tasks.decision import Decision
from lifeboat.tasks.kinds import task_of
from lifeboat.tasks.task import Task
from lifeboat.usecase.label import BinaryLabel
from lifeboat.usecase.schema import Schema

# Format 2 says the decision and, but for its first bundles, the task. A reader takes format 1 as well, for one release:
# its task is that of two classes, its decision the likelier one.
FORMAT, READ = 2, (1, 2)
MANIFEST = "bundle.json"
MODEL = "model.onnx"
SCHEMA = "schema.json"
REFERENCE = "reference.parquet"
GOLDEN = "golden.json"
FILES = (MODEL, SCHEMA, REFERENCE, GOLDEN)


@dataclass(frozen=True)
class Bundle:
    """A verified bundle in memory: what was hashed is what will be used.

    Args:
        directory: where it was read.
        manifest: the content of bundle.json.
        schema: of a raw row.
        model: bytes of the ONNX graph.
        golden: rows with the answers the model gave when it was made:
            `[{"row": {column: value}, OUTPUT: [float, ...]}, ...]`, OUTPUT as the task names it.
    """

    directory: Path
    manifest: dict[str, Any]
    schema: Schema
    model: bytes
    golden: list[dict[str, Any]]

    @property
    def views(self) -> dict[str, dict[str, Any]]:
        """Of a feature store, by name what `FeatureStore.to_manifest` says of it; none without one."""
        found: dict[str, dict[str, Any]] = self.manifest.get("store", {})
        return found

    @property
    def decision(self) -> Decision:
        """What an answer is taken to say."""
        return self.task.decision.of_manifest(self.manifest)

    @cached_property
    def task(self) -> Task[Any, Any]:
        """The kind of answer."""
        return task_of(self.schema.label)

    @property
    def golden_answers(self) -> list[list[float]]:
        """Of `golden`."""
        return [entry[self.task.output] for entry in self.golden]

    def golden_errors(self, answers: Any) -> NDArray[np.float64]:
        """By how much answers to the golden requests are off, the largest of each row, [n]; NaN for what is no number.

        Args:
            answers: [n, width]; of a large number the share counts.
        """
        expected = np.asarray(self.golden_answers, dtype=np.float64)
        off = np.abs(np.asarray(answers, dtype=np.float64) - expected) / np.maximum(1, np.abs(expected))
        found: NDArray[np.float64] = off.max(axis=1)
        return found

    @property
    def digest(self) -> str:
        return str(self.manifest["digest"])

    @property
    def usecase(self) -> str:
        return str(self.manifest["usecase"])

    @property
    def reference(self) -> Path:
        """Path of the drift reference (Parquet, raw columns of training rows)."""
        return self.directory / REFERENCE


def canonical(document: Any) -> bytes:
    """JSON with sorted keys and no spaces: equal documents give equal bytes."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def write_bundle(directory: Path, files: dict[str, bytes], manifest: dict[str, Any]) -> str:
    """Writes a bundle whole or not at all and gives its digest.

    Args:
        directory: must not exist or be empty.
        files: content of exactly `FILES`.
        manifest: use case, task, decision (the task's usual one unless given), versions, lineage and training facts;
            must be JSON and deterministic.

    Raises:
        BundleError: a file is missing or too many, the directory already holds something or cannot be written.
    """
    if set(files) != set(FILES):
        raise BundleError(f"a bundle has the files {', '.join(FILES)}, not {', '.join(sorted(files))}")
    body = {
        "decision": {},
        **manifest,
        "files": {name: _sha256(files[name]) for name in FILES},
        "format": FORMAT,
    }
    digest = _sha256(canonical(body))
    try:
        _write_files(directory, {**files, MANIFEST: _manifest_bytes({**body, "digest": digest})})
    except OSError as error:
        raise BundleError(f"{directory} cannot take a bundle: {error.strerror or error}") from error
    return digest


def _write_files(directory: Path, files: dict[str, bytes]) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=f".{directory.name}-") as temporary:
        new = Path(temporary) / "bundle"
        new.mkdir()
        for name, content in files.items():
            (new / name).write_bytes(content)
        new.replace(directory)


def _manifest_bytes(manifest: dict[str, Any]) -> bytes:
    return (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode()


def open_bundle(directory: str | os.PathLike[str]) -> Bundle:
    """Reads a bundle and checks every byte of it.

    Raises:
        BundleError: missing, truncated, altered, of another format, or with a file the manifest does not list.
    """
    root = Path(directory)
    manifest = _read_manifest(root)
    extra = {path.name for path in root.iterdir()} - {*FILES, MANIFEST}
    if extra:
        raise BundleError(f"{root}: {', '.join(sorted(extra))} does not belong in a bundle")
    content = {name: _read_verified(root / name, manifest["files"].get(name)) for name in FILES}
    try:
        schema = Schema.from_json(content[SCHEMA])
        golden = json.loads(content[GOLDEN])
        bundle = Bundle(root, manifest, schema, content[MODEL], golden)
        _ = bundle.decision, bundle.golden_answers
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{root}: {SCHEMA} or {GOLDEN} is not what a bundle holds: {error}") from error
    if manifest.get("task", BinaryLabel.kind) != schema.label.kind:
        raise BundleError(f"{root / MANIFEST} says the task {manifest['task']!r}, {SCHEMA} {schema.label.kind!r}")
    return bundle


def _read_manifest(root: Path) -> dict[str, Any]:
    try:
        content = (root / MANIFEST).read_bytes()
        manifest = json.loads(content, parse_constant=_refuse_constant)
    except OSError as error:
        raise BundleError(f"{root} is not a bundle: {MANIFEST} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{root / MANIFEST} is not JSON: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") not in READ:
        formats = " or ".join(map(str, READ))
        raise BundleError(f"{root / MANIFEST}: format is not {formats}")
    body = {key: value for key, value in manifest.items() if key != "digest"}
    # Byte for byte: a change that JSON does not see, such as a tab for a space, is a change all the same.
    if content != _manifest_bytes(manifest) or manifest.get("digest") != _sha256(canonical(body)):
        raise BundleError(f"{root / MANIFEST} was altered: its digest does not match its content")
    if not isinstance(manifest.get("files"), dict) or not isinstance(manifest.get("usecase"), str):
        raise BundleError(f"{root / MANIFEST} names no files or no use case")
    if manifest["format"] >= FORMAT and "decision" not in manifest:
        raise BundleError(f"{root / MANIFEST} says no decision")
    return manifest


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _read_verified(path: Path, expected: object) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}") from error
    actual = _sha256(content)
    if actual != expected:
        raise BundleError(f"{path} was altered: sha256 is {actual}, the manifest says {expected}")
    return content


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
