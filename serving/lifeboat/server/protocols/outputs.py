"""Outputs of the Open Inference Protocol: which are asked for, and how each is written, in JSON or as binary data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from lifeboat.http.errors import bad, refuse_unknown
from lifeboat.server.explained import EXPLAIN
from lifeboat.server.protocols.tensor import CONTENT_TYPES, pack, read_parameters
from lifeboat.tasks.decision import Decision
from lifeboat.tasks.task import Output, Task
from lifeboat.usecase.column import shown_value

if TYPE_CHECKING:
    # Not at run time: the drift detector reads with this and has no ONNX Runtime.
    from lifeboat.server.model.onnx_model import Answers

# When to answer and whom, which changes no answer of a model without a state.
_IGNORED = {"headers", "priority", "timeout", "sequence_id", "sequence_start", "sequence_end"}
_PARAMETERS = frozenset({"binary_data_output", "content_type", EXPLAIN} | _IGNORED)


def read_outputs(document: dict[str, Any], known: Mapping[str, Output]) -> dict[str, bool]:
    """The names of the outputs that a request asks for, all unless it says, and whether each is wanted as binary data.

    Raises:
        RequestError: 400; it names what is wrong.
    """
    parameters = read_parameters("the request", document, _PARAMETERS)
    content_type = parameters.get("content_type")
    if content_type is not None and (type(content_type) is not str or content_type not in ("pd", *CONTENT_TYPES)):
        known_types = ", ".join(("pd", *CONTENT_TYPES))
        raise bad(f"the request's content_type {shown_value(content_type)} is not supported, only {known_types}")
    all_binary = _flag("the request", parameters, "binary_data_output", False)
    asked = document.get("outputs")
    if asked is None or asked == []:
        return dict.fromkeys(known, all_binary)
    if type(asked) is not list:
        raise bad("outputs is not a list")
    outputs: dict[str, bool] = {}
    for entry in asked:
        name = entry.get("name") if type(entry) is dict else None
        if type(name) is not str or name not in known:
            raise bad(f"an output has no known name; the names are {', '.join(known)}")
        where = f"output {name}"
        if name in outputs:
            raise bad(f"{where}: asked for twice")
        refuse_unknown(where, "member", entry, frozenset({"name", "parameters"}))
        wanted = read_parameters(where, entry, frozenset({"binary_data"}))
        outputs[name] = _flag(where, wanted, "binary_data", all_binary)
    return outputs


class OutputWriter:
    """Writes the outputs of a prediction.

    Args:
        task: what answers are.
        decision: what is made of them.
    """

    def __init__(self, task: Task[Any, Any], decision: Decision) -> None:
        self._task, self._decision = task, decision
        self.known = task.outputs

    def write(self, name: str, as_binary: bool, answers: Answers, blobs: list[bytes]) -> dict[str, Any]:
        """One output for orjson; its binary data, if that is asked for, is added to the blobs."""
        described = self.known[name]
        data = self._task.tensor(name, answers, self._decision)
        return write_tensor(name, described.datatype, described.shape(len(answers)), data, as_binary, blobs)


def write_tensor(
    name: str, datatype: str, shape: list[int], data: list[str] | NDArray[Any], as_binary: bool, blobs: list[bytes]
) -> dict[str, Any]:
    """One output for orjson; its binary data, if that is asked for, is added to the blobs."""
    output: dict[str, Any] = {"name": name, "datatype": datatype, "shape": shape}
    if as_binary:
        blobs.append(pack(data))
        output["parameters"] = {"binary_data_size": len(blobs[-1])}
    else:
        output["data"] = data if isinstance(data, list) else data.reshape(-1)
    return output


def identified(tags: Mapping[str, str]) -> dict[str, Any]:
    """Which model, version and bundle it is, as each answer of the protocol begins."""
    names = {name: tags[name] for name in ("model_name", "model_version")}
    return {**names, "parameters": {"bundle_digest": tags["bundle_digest"]}}


def describe(columns: Mapping[str, str], known: Mapping[str, Output]) -> dict[str, Any]:
    """Inputs and outputs for the model's metadata.

    Args:
        columns: kind of each column by name.
        known: outputs by name.
    """
    kinds = {"float": "FP32", "integer": "INT64", "boolean": "BOOL"}
    inputs = [{"name": name, "datatype": kinds.get(kind, "BYTES"), "shape": [-1, 1]} for name, kind in columns.items()]
    outputs = [{"name": name, "datatype": one.datatype, "shape": one.shape(-1)} for name, one in known.items()]
    return {"inputs": inputs, "outputs": outputs}


def _flag(where: str, parameters: dict[str, Any], name: str, default: bool) -> bool:
    value = parameters.get(name, default)
    if type(value) is not bool:
        raise bad(f"{where}: {name} is {shown_value(value)}, not true or false")
    return value
