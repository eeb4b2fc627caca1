"""The model of one bundle: columns of plain values in, answers out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifeboat.config.errors import BundleError
from lifeboat.model.bundle import Bundle, open_bundle
from lifeboat.model.session import open_graph
from lifeboat.model.tensors import stack, tensor_types
from lifeboat.usecase.schema import Schema

GOLDEN_TOLERANCE = 1e-4
WARM_ROWS = (1, 2, 64)
Answers = NDArray[np.float32]


class Model:
    """An ONNX session with the schema of its rows.

    Args:
        bundle: verified; its graph must take the schema's columns and give the task's answer.

    Raises:
        BundleError: the graph does not load, or is not one for this schema.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.schema: Schema = bundle.schema
        self.bundle = bundle
        self._session = open_graph(bundle.model, bundle.schema)
        self._output = [bundle.task.output]
        self._kinds = tensor_types(bundle.schema.columns)

    def predict(self, columns: Sequence[list[Any]]) -> Answers:
        """Scores rows.

        Args:
            columns: for each column of the schema, in its order, one list of n values: floats (NaN for null) or strings
                ("" for null). The keys, which may come behind them, are no inputs.

        Returns:
            float32 [n, width], as the task has it.
        """
        answers: Answers = self._session.run(self._output, stack(self._kinds, columns))[0]
        return answers

    def verify(self) -> None:
        """Answers the golden requests, which also warms the path.

        Raises:
            BundleError: there are none, or an answer is off by more than the tolerance or not a number.
        """
        rows = [self.schema.parse_row(entry["row"]) for entry in self.bundle.golden]
        if not rows:
            raise BundleError(f"{self.bundle.directory}: golden.json holds no request")
        columns = [[row[name] for row in rows] for name in self.schema.names]
        answers = self.predict(columns)
        wrong = np.flatnonzero(~(self.bundle.golden_errors(answers) <= GOLDEN_TOLERANCE))
        if len(wrong):
            row = int(wrong[0])
            raise BundleError(
                f"{self.bundle.directory}: golden request {row + 1} is answered {answers[row].tolist()}, "
                f"expected {self.bundle.golden_answers[row]}; at most {GOLDEN_TOLERANCE:g} off is allowed"
            )
        for count in WARM_ROWS:
            self.predict([(column * count)[:count] for column in columns])


def load_model(directory: str | os.PathLike[str]) -> Model:
    """Opens, loads and verifies a bundle.

    Raises:
        BundleError: with the reason why it must not serve.
    """
    model = Model(open_bundle(directory))
    try:
        model.verify()
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{directory}: golden.json does not fit the schema: {error!r}") from error
    return model
