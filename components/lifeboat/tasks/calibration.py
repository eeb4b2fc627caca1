"""Calibration: the way from what an estimator gives to a model's answer, in numpy and as a part of the graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Float32 sums differ from float64 sums by about 1e-6; a row on the wrong side of a threshold by far more.
PARITY = 1e-5
# Near 0 and 1 logarithms magnify the last bit of a float32 probability: at 1e-6 by more than the parity check allows.
CLIP = np.float32(1e-4)
# What a float32 probability near 1 is off by after two roundings.
ROUNDING = 2.0**-22

# Operator, inputs, output and attributes of each.
Nodes = tuple[tuple[str, tuple[str, ...], str, Mapping[str, Any]], ...]


@dataclass(frozen=True)
class GraphPart:
    """ONNX nodes, as plain values: `lifeboat.model.onnx` makes the nodes.

    Args:
        nodes: of each the operator, its inputs, its output and its attributes. The names `SOURCE` and `ANSWER` are
            those of what comes in, float32 [rows, raw width], and of what goes out, float32 [rows, width].
        constants: by the names that inputs have.
    """

    nodes: Nodes
    constants: Mapping[str, NDArray[Any]] = field(default_factory=dict)


SOURCE, ANSWER = "source", "answer"


class Calibration(ABC):
    """What an estimator gives becomes a model's answer."""

    @abstractmethod
    def apply(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """The answers, [n, width].

        Args:
            raw: what the estimator gives, [n, raw width].
        """

    @abstractmethod
    def graph(self) -> GraphPart:
        """The same as ONNX."""

    @abstractmethod
    def allowed(self, answers: NDArray[np.float64]) -> NDArray[np.float64]:
        """The largest difference that rounding explains between the graph's answer and these, of each row, [n]."""

    @abstractmethod
    def to_manifest(self) -> Any:
        """What a bundle's manifest says of it under `training`; None of none."""


@dataclass(frozen=True)
class Uncalibrated(Calibration):
    """The answer is what the estimator gives."""

    def apply(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        return raw.astype(np.float32)

    def graph(self) -> GraphPart:
        return GraphPart((("Identity", (SOURCE,), ANSWER, {}),))

    def allowed(self, answers: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.full(len(answers), PARITY)

    def to_manifest(self) -> None:
        return None
