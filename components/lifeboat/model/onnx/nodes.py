"""Adding nodes to the graph that skl2onnx makes, in the precision in which scikit-learn computes the same step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto
from skl2onnx.common.data_types import StringTensorType
from sklearn.base import BaseEstimator

# RegexFullMatch and StringSplit came with opset 20; TreeEnsemble* of ai.onnx.ml 3 is what ONNX Runtime has optimised.
OPSETS = {"": 20, "ai.onnx.ml": 3}
_TYPES = {
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
    "int64": TensorProto.INT64,
    "bool": TensorProto.BOOL,
}


@dataclass(frozen=True)
class Observed:
    """What a transformer got and gave: its input's type, float32 or float64, and the number of columns it made."""

    dtype: np.dtype[Any]
    width: int


_observed: ContextVar[Mapping[int, Observed]] = ContextVar("observed", default=MappingProxyType({}))


class Nodes:
    """Adds nodes one after the other, naming what they make.

    Args:
        scope, operator, container: what skl2onnx gives a converter.
    """

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        self.scope, self.operator, self.container = scope, operator, container
        self.model = operator.raw_operator
        self.prefix = type(self.model).__name__
        self.is_text = isinstance(operator.inputs[0].type, StringTensorType)
        # Float64 where scikit-learn computes in it, else float32.
        seen = _observed.get().get(id(self.model))
        self.dtype = seen.dtype if seen else np.dtype(np.float32)
        self.source = self.join([item.full_name for item in operator.inputs])
        self.result = operator.outputs[0].full_name

    def add(self, kind: str, *inputs: str, output: str | None = None, domain: str = "", **attributes: Any) -> str:
        """Adds a node of one output; gives the output's name."""
        name = output or self.variable(kind)
        self.container.add_node(
            kind,
            list(inputs),
            [name],
            op_domain=domain,
            op_version=OPSETS.get(domain, 1),
            name=self.scope.get_unique_operator_name(f"{self.prefix}_{kind}"),
            **attributes,
        )
        return name

    def variable(self, kind: str) -> str:
        """A name that nothing has yet."""
        return str(self.scope.get_unique_variable_name(f"{self.prefix}_{kind}"))

    def constant(self, values: Any) -> str:
        """A constant tensor of the array's own type."""
        array = np.asarray(values)
        kind = _TYPES.get(array.dtype.name, TensorProto.STRING)
        name = self.variable("constant")
        flat = [item.encode() if isinstance(item, str) else item for item in array.ravel().tolist()]
        self.container.add_initializer(name, kind, list(array.shape), flat)
        return name

    def number(self, values: Any) -> str:
        """A constant tensor in this step's precision."""
        return self.constant(np.asarray(values, dtype=self.dtype))

    def join(self, names: list[str]) -> str:
        return names[0] if len(names) == 1 else self.add("Concat", *names, axis=1)

    def column(self, position: int, source: str | None = None) -> str:
        return self.columns([position], source)

    def columns(self, positions: Any, source: str | None = None) -> str:
        """Some columns of a matrix, of the input unless said otherwise."""
        return self.add("Gather", source or self.source, self.constant(np.asarray(positions, np.int64)), axis=1)

    def numbers(self) -> str:
        """The input in this step's precision; a cast from float32 to float64 changes no value."""
        return self.source if self.dtype == np.float32 else self.add("Cast", self.source, to=TensorProto.DOUBLE)

    def cast(self, name: str, dtype: Any) -> str:
        return self.add("Cast", name, to=_TYPES[np.dtype(dtype).name])

    def inplace(self, kind: str, name: str, parameter: NDArray[Any]) -> str:
        """`name op= parameter` as NumPy has it: of a float32 and a float64 it computes in float64 and rounds once."""
        if self.dtype == np.float32 and np.asarray(parameter).dtype == np.float64:
            return self.cast(self.add(kind, self.cast(name, np.float64), self.constant(parameter)), np.float32)
        return self.add(kind, name, self.number(parameter))

    def finish(self, name: str) -> None:
        """Makes this the step's output, as float32; `carry_doubles` joins the casts of neighbouring float64 steps."""
        self.add("Cast", name, output=self.result, to=TensorProto.FLOAT)


@contextmanager
def observing(model: Any, X: Any) -> Iterator[None]:
    """Within it `Nodes` knows in which precision each transformer inside a fitted model computes.

    Args:
        model: a fitted pipeline.
        X: some raw rows, a data frame.
    """
    token = _observed.set(_observe(model, X))
    try:
        yield
    finally:
        _observed.reset(token)


def _observe(model: Any, X: Any) -> dict[int, Observed]:
    """Runs the model on rows and notes what each transformer got and gave, by `id`."""
    seen: dict[int, Observed] = {}
    watched = [part for part in parts(model) if hasattr(part, "transform")]
    for part in watched:
        part.transform = _noting(part, seen)
    try:
        # One process: a worker would note into its own copy.
        with joblib.parallel_config(backend="sequential"):
            ask = model.predict_proba if hasattr(model, "predict_proba") else model.predict
            ask(X)
    finally:
        for part in watched:
            del part.transform
    return seen


def _noting(part: Any, seen: dict[int, Observed]) -> Any:
    transform = part.transform

    def note(X: Any, *arguments: Any, **options: Any) -> Any:
        made = transform(X, *arguments, **options)
        seen[id(part)] = Observed(_precision(X), np.shape(made)[1] if len(np.shape(made)) > 1 else 1)
        return made

    return note


def _precision(X: Any) -> np.dtype[Any]:
    """In which of float32 and float64 scikit-learn computes with it."""
    dtypes = [X.dtype] if hasattr(X, "dtype") else list(getattr(X, "dtypes", ()))
    small = bool(dtypes) and all(dtype in (np.float32, np.float16) for dtype in dtypes)
    return np.dtype(np.float32 if small else np.float64)


def observed_width(model: Any) -> int | None:
    """How many columns a transformer made of the rows observed; None where it made none."""
    seen = _observed.get().get(id(model))
    return seen.width if seen else None


def _is_like_one(part: Any) -> bool:
    """CatBoost's estimators are none of scikit-learn's by their bases."""
    return hasattr(part, "get_params") and hasattr(part, "fit") and not isinstance(part, type)


def parts(model: Any) -> list[Any]:
    """Every estimator inside a model, itself included, each once."""
    found: dict[int, Any] = {}
    waiting = [model]
    while waiting:
        part = waiting.pop()
        if isinstance(part, BaseEstimator) or _is_like_one(part):
            if id(part) not in found:
                found[id(part)] = part
                waiting.extend(vars(part).values())
        elif isinstance(part, dict):
            waiting.extend(part.values())
        elif isinstance(part, list | tuple) or (isinstance(part, np.ndarray) and part.dtype == object):
            waiting.extend(part)
    return list(found.values())
