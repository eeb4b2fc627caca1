"""The ONNX form of FunctionTransformer: NumPy's own functions by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lifeboat.model.onnx.nodes import Nodes

Step = Callable[[Nodes, str], str]


def _of_one(*kinds: str) -> Step:
    def step(nodes: Nodes, x: str) -> str:
        for kind in kinds:
            x = nodes.add(kind, x)
        return x

    return step


def _with_number(kind: str, number: float, *, first: bool = False) -> Step:
    def step(nodes: Nodes, x: str) -> str:
        constant = nodes.constant(np.float64(number))
        return nodes.add(kind, *((constant, x) if first else (x, constant)))

    return step


def _chain(*steps: Step) -> Step:
    def step(nodes: Nodes, x: str) -> str:
        for part in steps:
            x = part(nodes, x)
        return x

    return step


def _signed_root(nodes: Nodes, x: str) -> str:
    root = nodes.add("Pow", nodes.add("Abs", x), nodes.constant(np.float64(1 / 3)))
    return nodes.add("Mul", nodes.add("Sign", x), root)


_LOG = _of_one("Log")
# Those of NumPy's functions that FunctionTransformer may hold, each in float64.
FUNCTIONS: dict[str, Step] = {
    "absolute": _of_one("Abs"),
    "arctan": _of_one("Atan"),
    "cbrt": _signed_root,
    "ceil": _of_one("Ceil"),
    "cos": _of_one("Cos"),
    "exp": _of_one("Exp"),
    "exp2": _chain(_with_number("Mul", np.log(2)), _of_one("Exp")),
    "expm1": _chain(_of_one("Exp"), _with_number("Sub", 1)),
    "fabs": _of_one("Abs"),
    "floor": _of_one("Floor"),
    "isnan": _of_one("IsNaN"),
    "log": _LOG,
    "log10": _chain(_LOG, _with_number("Div", np.log(10))),
    "log1p": _chain(_with_number("Add", 1), _LOG),
    "log2": _chain(_LOG, _with_number("Div", np.log(2))),
    "negative": _of_one("Neg"),
    "positive": _of_one("Identity"),
    "reciprocal": _with_number("Div", 1, first=True),
    "rint": _of_one("Round"),
    "sign": _of_one("Sign"),
    "sin": _of_one("Sin"),
    "sqrt": _of_one("Sqrt"),
    "square": _with_number("Pow", 2),
    "tan": _of_one("Tan"),
    "tanh": _of_one("Tanh"),
}


def function(nodes: Nodes) -> None:
    """A named function of NumPy's; `clip` with its limits in `kw_args`.

    Raises:
        NotImplementedError: the function is none of these.
    """
    func, arguments = nodes.model.func, dict(nodes.model.kw_args or {})
    if func is None:
        nodes.add("Identity", nodes.source, output=nodes.result)
        return
    x = nodes.cast(nodes.source, np.float64)
    name = getattr(func, "__name__", "")
    if func is np.clip:
        nodes.finish(_clip_by(nodes, x, arguments))
        return
    if func is not getattr(np, name, None) or name not in FUNCTIONS or arguments:
        shown = f"numpy.{name}" if func is getattr(np, name, None) else repr(name or func)
        extra = f" with {', '.join(arguments)}" if arguments else ""
        raise NotImplementedError(
            f"the function {shown}{extra} has no ONNX form; there are {', '.join(FUNCTIONS)}, clip"
        )
    found = FUNCTIONS[name](nodes, x)
    # In between it is rounded as NumPy rounds, to the type of what comes in.
    nodes.finish(found if name == "isnan" else nodes.cast(found, nodes.dtype))


def _clip_by(nodes: Nodes, x: str, arguments: dict[str, Any]) -> str:
    low = arguments.pop("a_min", arguments.pop("min", None))
    high = arguments.pop("a_max", arguments.pop("max", None))
    if arguments or np.ndim(low) or np.ndim(high):
        raise NotImplementedError("numpy.clip has an ONNX form for kw_args a_min and a_max that are numbers")
    # A limit takes the type of the values, as NumPy has it for plain numbers.
    limits = [nodes.constant(np.float64(nodes.dtype.type(bound))) if bound is not None else "" for bound in (low, high)]
    return nodes.add("Clip", x, *limits)
