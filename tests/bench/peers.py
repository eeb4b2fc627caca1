"""What the bench compares with: FastAPI with the same model, and the pipeline of scikit-learn that it was made from.

The factory reads the bundle's directory from BENCH_BUNDLE, since uvicorn imports an application by its name.
`SklearnModel` runs in the environment of Seldon's wrapper.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Annotated, Any, Literal

from lifeboat.server.model.onnx_model import load_model


def _bundle() -> str:
    return os.environ["BENCH_BUNDLE"]


def fastapi() -> Any:
    """FastAPI as its documents show it: a pydantic model of a row, the ONNX session, a dictionary."""
    from fastapi import FastAPI
    from pydantic import BaseModel, Field, create_model

    model = load_model(_bundle())
    kinds: dict[str, Any] = {"string": str, "float": float, "integer": int, "boolean": bool}
    columns: dict[str, Any] = {}
    for column in model.schema.columns:
        kind = Literal[column.categories] if column.categories else kinds[column.kind]
        limits = {"ge": column.minimum, "le": column.maximum} if column.kind in ("float", "integer") else {}
        checked = Annotated[kind, Field(**{k: v for k, v in limits.items() if v is not None})]
        columns[column.name] = (checked | None, None) if column.nullable else (checked, ...)
    row_type: type[BaseModel] = create_model("Row", **columns)
    nulls = {column.name: column.null for column in model.schema.columns}
    app = FastAPI()

    async def predict(row: Any) -> dict[str, float]:
        values = row.model_dump()
        inputs = [[nulls[name] if values[name] is None else values[name]] for name in model.schema.names]
        died, survived = model.predict(inputs)[0].tolist()
        return {"died": died, "survived": survived}

    # FastAPI reads the type from here, and this one exists only now.
    predict.__annotations__ = {"row": row_type, "return": dict[str, float]}
    app.post("/predict")(predict)
    return app


class SklearnModel:
    """A user model as the documents of Seldon's wrapper show it: the pipeline on a data frame, nothing checked.

    Args:
        pipeline: file that `train_peer` wrote.
    """

    def __init__(self, pipeline: str) -> None:
        with Path(pipeline).open("rb") as file:
            self._names, self._numbers, self._pipeline = pickle.load(file)  # noqa: S301  # our own, written a moment ago

    def predict(self, features: Any, names: list[str], meta: Any = None) -> Any:
        """Scores rows of the wrapper's array, in which numbers may be text."""
        import pandas as pd

        frame = pd.DataFrame(features, columns=names)[self._names].astype(dict.fromkeys(self._numbers, "float32"))
        texts = frame.columns.difference(self._numbers)
        frame[texts] = frame[texts].fillna("")
        return self._pipeline.predict_proba(frame)


def train_peer(directory: Path) -> tuple[Path, Path]:
    """The Titanic model as a bundle and as the pipeline it was exported from; trained unless they are there."""
    bundle, pipeline = directory / "bundle", directory / "pipeline.pickle"
    if pipeline.exists():
        return bundle, pipeline
    from lifeboat.model.onnx.nodes import parts as estimators
    from lifeboat.preprocess.step import Outputs, preprocess
    from lifeboat.train.step import train
    from lifeboat.usecases.titanic import USECASE

    directory.mkdir(parents=True, exist_ok=True)
    parts = ("train.parquet", "test.parquet", "quarantine.csv", "profile.html")
    outputs = Outputs(*(directory / part for part in parts))
    preprocess(USECASE, str(USECASE.data), outputs, say=lambda _: None)
    trained = train(USECASE, outputs.train, bundle, say=lambda _: None)
    columns = USECASE.schema.columns
    numbers = [column.name for column in columns if column.is_number]
    for part in estimators(trained.model.pipeline):
        # A generator of numpy 2, which the wrapper's numpy 1 cannot read, and nobody asks after training.
        vars(part).pop("_feature_subsample_rng", None)
    pipeline.write_bytes(pickle.dumps((list(USECASE.schema.names), numbers, trained.model.pipeline)))
    return bundle, pipeline
