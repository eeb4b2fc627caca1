"""A bundle as a model of MLflow's: a DataFrame of raw columns in, the answers out.

MLflow copies this file into every model version and runs the copy in the process that loads it (models from code:
nothing is pickled). That process may have another Lifeboat or none, so nothing of ours is imported here; what the
schema allows stands in the file `inputs`, which `lifeboat.registry.mlflow_model` writes, and how moments are read in a
copy of `lifeboat.usecase.datetimes` beside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date
from importlib.util import module_from_spec, spec_from_file_location
from numbers import Real
from pathlib import Path
from typing import Any, NoReturn

import mlflow
import numpy as np
import onnxruntime as ort
import pandas as pd
from mlflow.exceptions import MlflowException

# Rows that one call of the session takes: they bound its memory.
CHUNK = 16_384
# What pandas finds in a column of Python objects that are numbers.
NUMBERS = ("integer", "floating", "mixed-integer-float", "boolean", "decimal", "empty")
TENSORS = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64}


class BundleModel(mlflow.pyfunc.PythonModel):
    """Raw columns as in the schema; a value is refused by the same rules as at the endpoint."""

    def load_context(self, context: Any) -> None:
        """Reads the graph and what the schema allows."""
        inputs = json.loads(Path(context.artifacts["inputs"]).read_text(encoding="utf-8"))
        datetimes = _module(context.artifacts["datetimes"])
        self._columns = [{**column, "datetimes": datetimes} for column in inputs["columns"]]
        self._answers = inputs["answers"]
        model = str(Path(context.artifacts["bundle"]) / "model.onnx")
        self._session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
        # A column that no node uses may be no input of the graph.
        self._types = {entry.name: entry.type for entry in self._session.get_inputs()}

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:  # noqa: ARG002
        """Answers, float32 [n, width], such as a column a class, with the input's index.

        Raises:
            MlflowException: a column is missing, or a value breaks the schema; names row, column and limit.
        """
        tensors = {column["name"]: _tensor(column, model_input) for column in self._columns}
        fed = {name: tensors[name].astype(TENSORS.get(kind, object)) for name, kind in self._types.items()}
        parts = [np.empty((0, len(self._answers)), np.float32)]
        for start in range(0, len(model_input), CHUNK):
            chunk = {name: tensor[start : start + CHUNK] for name, tensor in fed.items()}
            # The graph has one output, whatever the kind of answer calls it.
            parts.append(self._session.run(None, chunk)[0])
        return pd.DataFrame(np.concatenate(parts), index=model_input.index, columns=self._answers)


def _module(path: str) -> Any:
    """What a file of Python holds."""
    spec = spec_from_file_location("lifeboat_datetimes", path)
    assert spec is not None  # noqa: S101  # it ends in .py
    assert spec.loader is not None  # noqa: S101
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _tensor(column: dict[str, Any], frame: pd.DataFrame) -> Any:
    """One input of the graph, [n, 1]: float64 with NaN for null, or objects of str with "" for null."""
    if column["name"] in frame:
        values = frame[column["name"]]
    elif column["missing"]:
        raise MlflowException.invalid_parameter_value(f"column {column['name']}: {column['missing']}")
    else:
        values = pd.Series([None] * len(frame), dtype=object)
    read = {"string": _text, "category": _text, "datetime": _moments}.get(column["kind"], _numbers)
    return read(column, values.reset_index(drop=True)).reshape(-1, 1)


def _numbers(column: dict[str, Any], values: pd.Series) -> Any:
    if not pd.api.types.is_numeric_dtype(values):
        values = values.astype(object)
        values = values.where(values.notna() & (values != ""), None)
        if pd.api.types.infer_dtype(values, skipna=True) not in NUMBERS:
            _refuse(column, values, lambda value: not isinstance(value, Real), f"is no {column['kind']}")
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    known = ~np.isnan(numbers)
    _refuse_where(column, values, known & ((numbers < column["lower"]) | (numbers > column["upper"])), _outside(column))
    if column["kind"] != "float":
        whole = np.isin(numbers, (0, 1)) if column["kind"] == "boolean" else numbers == np.floor(numbers)
        _refuse_where(column, values, known & ~whole, f"is no {column['kind']}")
    _refuse_where(column, values, known & ~np.isin(numbers, column["allowed"] or numbers), _unlisted(column))
    _refuse_null(column, ~known)
    return numbers


def _moments(column: dict[str, Any], values: pd.Series) -> Any:
    """Microseconds since 1970."""
    values = values.astype(object)
    values = values.where(values.notna() & ~values.isin(column["nulls"]), None)
    moments = {value: _moment(column, value) for value in values[values.notna()].unique()}
    _refuse(column, values, lambda value: np.isnan(moments[value]), "is no datetime")
    numbers = values.map(moments).to_numpy(dtype=np.float64, na_value=np.nan)
    known = ~np.isnan(numbers)
    outside = known & ((numbers < column["lower"]) | (numbers > column["upper"]))
    _refuse_where(column, values, outside, "is outside " + " to ".join(column["limits"]))
    _refuse_null(column, ~known)
    return numbers


def _moment(column: dict[str, Any], value: Any) -> float:
    """NaN for what is none."""
    datetimes = column["datetimes"]
    try:
        if isinstance(value, str | date):
            return float(datetimes.any_moment(value, datetimes.read_zone(column["zone"])))
        if column["epoch"] is not None and pd.api.types.is_number(value) and not pd.api.types.is_bool(value):
            return float(round(value * datetimes.EPOCHS[column["epoch"]]))
    except (ValueError, OverflowError):
        pass  # said by NaN
    return np.nan


def _text(column: dict[str, Any], values: pd.Series) -> Any:
    values = values.astype(object)
    null = values.isna() | values.isin(column["nulls"])
    known = values.where(~null, None)
    _refuse(column, known, lambda value: not isinstance(value, str), "is no string")
    _refuse(column, known, lambda value: len(value) > column["max_length"],
            f"has more than {column['max_length']} characters")  # fmt: skip
    if column["allowed"]:
        _refuse(column, known, lambda value: value not in column["allowed"], _unlisted(column))
    if column["pattern"]:
        pattern = re.compile(column["pattern"])
        _refuse(column, known, lambda value: not pattern.fullmatch(value), f"does not match {column['pattern']}")
    _refuse_null(column, null.to_numpy())
    return values.where(~null, "").to_numpy()


def _outside(column: dict[str, Any]) -> str:
    return f"is outside {column['lower']:.15g} to {column['upper']:.15g}"


def _unlisted(column: dict[str, Any]) -> str:
    shown = (f"{item:g}" if isinstance(item, float) else item for item in column["allowed"])
    return f"is none of {', '.join(shown)}"


def _refuse(column: dict[str, Any], values: pd.Series, breaks: Callable[[Any], bool], why: str) -> None:
    """Refuses the first value, other than None, that breaks a rule; each distinct one is looked at once."""
    broken = {value for value in values[values.notna()].unique() if breaks(value)}
    if broken:
        _refuse_where(column, values, values.isin(broken).to_numpy(), why)


def _refuse_null(column: dict[str, Any], null: Any) -> None:
    if null.any() and not column["nullable"]:
        _fail(column, int(null.argmax()), "is null, which it may not be")


def _refuse_where(column: dict[str, Any], values: pd.Series, broken: Any, why: str) -> None:
    if broken.any():
        row = int(broken.argmax())
        [value] = values[row : row + 1].tolist()
        _fail(column, row, f"{value!r:.60} {why}")


def _fail(column: dict[str, Any], row: int, why: str) -> NoReturn:
    raise MlflowException.invalid_parameter_value(f"row {row + 1}, column {column['name']}: {why}")


mlflow.models.set_model(BundleModel())
