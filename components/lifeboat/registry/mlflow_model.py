"""A bundle as a directory that MLflow loads as a model: signature, input example, requirements, code and the bundle.

It is composed from MLflow's public parts. MLflow's own `save_model` runs the code three times, and notes paths of this
machine in the model.
"""

from __future__ import annotations

import json
import platform
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lifeboat.model.bundle import Bundle
from lifeboat.usecase import datetimes
from lifeboat.usecase.column import Column

CODE, ENVIRONMENT, REQUIREMENTS = "model.py", "python_env.yaml", "requirements.txt"
EXAMPLE, SERVING_EXAMPLE = "input_example.json", "serving_input_example.json"
ARTIFACTS = {
    "bundle": "artifacts/bundle", "inputs": "artifacts/inputs.json", "datetimes": "artifacts/datetimes.py",
}  # fmt: skip
LOADER = "mlflow.pyfunc.loaders.code_model"
_PYTHON_ENV = "python: {python}\nbuild_dependencies:\n- pip\ndependencies:\n- -r {requirements}\n"
_SOURCE = Path(__file__).with_name("pyfunc_model.py")


def write_model(folder: Path, bundle: Bundle, **identity: str) -> None:
    """Writes the model.

    Args:
        folder: an empty directory.
        bundle: copied as it is.
        identity: `run_id`, `model_id`, `model_uuid` and `artifact_path`, as `mlflow.models.Model` takes them.
    """
    shutil.copytree(bundle.directory, folder / ARTIFACTS["bundle"])
    shutil.copyfile(_SOURCE, folder / CODE)
    shutil.copyfile(datetimes.__file__, folder / ARTIFACTS["datetimes"])
    inputs = {"columns": [_rules(column) for column in bundle.schema.columns], "answers": bundle.task.names}
    example = bundle.schema.example()
    split = {"columns": list(example), "data": [list(example.values())]}
    texts = {
        ARTIFACTS["inputs"]: json.dumps(inputs),
        EXAMPLE: json.dumps(split),
        SERVING_EXAMPLE: json.dumps({"dataframe_split": split}),
        REQUIREMENTS: _requirements(bundle),
        ENVIRONMENT: _PYTHON_ENV.format(python=platform.python_version(), requirements=REQUIREMENTS),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    _describe(bundle, identity).save(folder / "MLmodel")


def _rules(column: Column) -> dict[str, Any]:
    """What `lifeboat.registry.pyfunc_model` checks a value against, with every default written out."""
    return {
        "name": column.name,
        "kind": column.kind,
        "nullable": column.nullable,
        "missing": "" if column.is_optional else column.why_missing,
        "nulls": sorted(column.nulls),
        "lower": column.lower,
        "upper": column.upper,
        "limits": column.limits.split(" to "),
        "zone": column.zone,
        "epoch": column.epoch,
        "allowed": [float(item) if column.is_number else item for item in column.categories],
        "pattern": column.pattern,
        "max_length": column.max_length,
    }


def _requirements(bundle: Bundle) -> str:
    pinned = {name: version(name) for name in ("mlflow", "numpy", "onnxruntime", "pandas")}
    pinned |= {name: number for name, number in bundle.manifest["versions"].items() if name in pinned}
    return "".join(f"{name}=={number}\n" for name, number in pinned.items())


def _describe(bundle: Bundle, identity: dict[str, str]) -> Any:
    """The content of MLmodel."""
    from mlflow.models import Model, ModelSignature
    from mlflow.pyfunc import add_to_model
    from mlflow.types.schema import ColSpec, Schema

    outputs = [ColSpec("float", name) for name in bundle.task.names]
    example = {
        "artifact_path": EXAMPLE, "type": "dataframe", "pandas_orient": "split", "serving_input_path": SERVING_EXAMPLE,
    }  # fmt: skip
    model = Model(
        signature=ModelSignature(Schema(list(map(_column, bundle.schema.columns))), Schema(outputs)),
        saved_input_example_info=example,
        metadata={"bundle_digest": bundle.digest, "kinds": {item.name: item.kind for item in bundle.schema.columns}},
        **identity,
    )
    artifacts = {name: {"path": path, "uri": path} for name, path in ARTIFACTS.items()}
    add_to_model(model, LOADER, python_env=ENVIRONMENT, model_code_path=CODE, artifacts=artifacts, streamable=False)
    return model


def _column(column: Column) -> Any:
    """Anything: the model checks its values itself, and `kinds` in the metadata says what they are.

    A declared type would have MLflow convert or refuse before that. It takes no integers for doubles nor doubles for
    integers, and a DataFrame has either, depending on whether a null stands in the column; it refuses categories for
    strings, and makes the text '<NA>' of a null among Arrow's strings.
    """
    from mlflow.types.schema import AnyType, ColSpec

    return ColSpec(AnyType(), column.name, required=not column.is_optional)
