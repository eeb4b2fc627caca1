"""The same model as a user model of Seldon's Python wrapper.

    seldon-core-microservice lifeboat.server.wrapper.LifeboatModel --parameters
        '[{"name": "bundle", "type": "STRING", "value": "/mnt/models"}]'

It is for whoever must run inside the wrapper; `lifeboat.server` answers the same protocol faster and stricter.
The wrapper turns a list of mixed values into an array of strings before it calls `predict`, so numbers come
as text here and are read back by their column.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from seldon_core.flask_utils import (  # type: ignore[import-not-found]  # only in the wrapper's own environment
    SeldonMicroserviceException,
)

from lifeboat.http.errors import RequestError
from lifeboat.server.identity import ModelMetadata
from lifeboat.server.model.onnx_model import Answers, load_model
from lifeboat.server.protocols.feedback import read_feedback
from lifeboat.server.protocols.row_parser import Reader
from lifeboat.server.protocols.seldon import init_metadata
from lifeboat.server.settings import ServerSettings
from lifeboat.usecase.schema import Column


class LifeboatModel:
    """A user model; its arguments are the wrapper's parameters.

    Args:
        bundle: directory of the bundle.
        model_name, model_version: as in `ServerSettings`.
        max_rows: of a request.

    Raises:
        BundleError: the bundle must not serve, so the wrapper does not start.
    """

    def __init__(self, bundle: str, model_name: str = "", model_version: str = "", max_rows: int = 10_000) -> None:
        settings = ServerSettings(bundle=bundle, model_name=model_name, model_version=model_version, max_rows=max_rows)
        self._model = load_model(bundle)
        self._metadata = ModelMetadata.of(self._model.bundle, settings)
        self._reader = Reader(self._model.schema, max_rows)
        self._max_rows = max_rows

    def predict(
        self,
        features: Any,
        names: Sequence[str],
        meta: dict[str, Any] | None = None,  # noqa: ARG002  # the interface is Seldon's
    ) -> Answers:
        """Scores rows.

        Args:
            features: [n, m] array of `data`, or the object or list of objects of `jsonData`.
            names: the m names of the columns, or none for the schema's order.
            meta: of the request.

        Returns:
            float32 [n, width], such as the probability of each class.

        Raises:
            SeldonMicroserviceException: 400; it names row, column, value and limit.
        """
        try:
            return self._model.predict(self._read(features, list(names or [])))
        except RequestError as error:
            raise SeldonMicroserviceException(error.info, status_code=error.status) from None

    def init_metadata(self) -> dict[str, object]:
        """Inputs, outputs and version of the model."""
        return init_metadata(self._metadata)

    def class_names(self) -> list[str]:
        """Names of the numbers of an answer."""
        return list(self._model.bundle.task.names)

    def health_status(self) -> list[str]:
        """Answers the golden requests once more; raises BundleError if they are wrong by now."""
        self._model.verify()
        return []

    def tags(self) -> dict[str, str]:
        """Which model, version and bundle answered."""
        return self._metadata.identity.tags

    def metrics(self) -> list[dict[str, Any]]:
        """None of our own: they would have to be kept between the wrapper's threads and processes."""
        return []

    def send_feedback(
        self,
        features: Any,  # noqa: ARG002  # the interface is Seldon's
        names: Sequence[str],  # noqa: ARG002  # the same
        reward: float,
        truth: Any,
        routing: int | None = None,  # noqa: ARG002  # the same
    ) -> None:
        """Checks a feedback; the wrapper counts it and its reward.

        Raises:
            SeldonMicroserviceException: 400; a truth is none of the classes.
        """
        values = [] if truth is None else np.asarray(truth).ravel().tolist()
        document = {"truth": {"data": {"ndarray": values}}, "reward": reward}
        try:
            read_feedback(document, self._model.schema.label, self._max_rows)
        except RequestError as error:
            raise SeldonMicroserviceException(error.info, status_code=error.status) from None

    def _read(self, features: Any, names: list[str]) -> list[list[str | float]]:
        if isinstance(features, dict):
            return self._reader.from_objects([features], "jsonData")
        if isinstance(features, list):
            return self._reader.from_objects(features, "jsonData")
        if not isinstance(features, np.ndarray):
            raise RequestError(400, "strData and binData have no meaning for rows of named columns")
        return self._reader.from_rows(self._restore(features, names), names, "data")

    def _restore(self, features: NDArray[Any], names: list[str]) -> list[Any]:
        """The rows with their numbers as numbers."""
        rows: list[Any] = features.tolist()
        if features.dtype.kind not in "US" or features.ndim != 2:
            return rows
        known = self._model.schema.known
        columns = [known.get(name) for name in (names or self._model.schema.names)]
        return [
            [_number(cell, column) for cell, column in zip(row, columns, strict=False)] + row[len(columns) :]
            for row in rows
        ]


def _number(text: str, column: Column | None) -> str | float | bool:
    if column is None or column.is_text:
        return text
    if text in ("True", "False"):
        return text == "True"
    try:
        return float(text)
    except ValueError:
        return text
