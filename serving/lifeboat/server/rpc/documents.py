"""A message as the document of the same shape that HTTP has."""

from __future__ import annotations

from typing import Any

from google.protobuf.unknown_fields import UnknownFieldSet

from lifeboat.http.errors import bad
from lifeboat.server.explained import EXPLAIN

_TFTENSOR = 4
# In which field of its contents a datatype's values are.
CONTENTS = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
    "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip


def seldon_document(said: Any) -> dict[str, Any]:
    """A `seldon.protos.SeldonMessage`.

    Raises:
        RequestError: 400; it holds a tensor of TensorFlow's.
    """
    document: dict[str, Any] = {}
    kind = said.WhichOneof("data_oneof")
    if kind == "data":
        document["data"] = _data(said.data)
    elif kind == "jsonData":
        document["jsonData"] = _plain(said.jsonData)
    elif kind is not None:
        document[kind] = ""
    if said.HasField("meta"):
        meta = said.meta
        document["meta"] = {"puid": meta.puid, "tags": {name: _plain(value) for name, value in meta.tags.items()}}
    return document


def feedback_document(said: Any) -> dict[str, Any]:
    """A `seldon.protos.Feedback`.

    Raises:
        RequestError: 400; it holds a tensor of TensorFlow's.
    """
    parts = ("request", "response", "truth")
    document = {name: seldon_document(getattr(said, name)) for name in parts if said.HasField(name)}
    return {**document, "reward": said.reward}


def inference_document(said: Any) -> tuple[dict[str, Any], bytes]:
    """An `inference.ModelInferRequest` or `ModelInferResponse`: JSON, and the binary data that is to stand behind it.

    Raises:
        RequestError: 400; what stands in it are no values of its datatype.
    """
    is_request = said.DESCRIPTOR.name == "ModelInferRequest"
    part, raw = ("inputs", said.raw_input_contents) if is_request else ("outputs", said.raw_output_contents)
    tensors = list(getattr(said, part))
    if raw and len(raw) != len(tensors):
        raise bad(f"raw contents of {len(raw)} tensors, there are {len(tensors)}")
    named = {} if is_request else {"model_name": said.model_name, "model_version": said.model_version}
    entries = [_tensor(*pair) for pair in zip(tensors, raw or [None] * len(tensors), strict=True)]
    return {**named, "parameters": parameters_of(said), part: entries}, b"".join(raw)


def asks_reasons(said: Any) -> bool:
    """Whether a prediction's request asks for the reasons of its answer."""
    name = said.DESCRIPTOR.name
    if name == "SeldonMessage":
        return EXPLAIN in said.meta.tags
    return name == "ModelInferRequest" and EXPLAIN in said.parameters


def contents_of(tensor: Any) -> list[Any]:
    """The values of a tensor that came with its contents; none of a datatype that there is not.

    Raises:
        RequestError: 400; they stand in another datatype's field.
    """
    field = CONTENTS.get(tensor.datatype)
    if field is None:
        if tensor.datatype == "FP16":
            raise bad(f"input {tensor.name}: FP16 has no contents of its own, only raw_input_contents")
        return []
    filled = tensor.contents.ListFields()
    if len(filled) == 1 and filled[0][0].name == field:
        return list(filled[0][1])
    for one, _ in filled:
        if one.name != field:
            raise bad(f"input {tensor.name}: the values of {tensor.datatype} are in {field}, not in {one.name}")
    return []


def parameters_of(said: Any) -> dict[str, Any]:
    """Those of a message, of whatever kind each is."""
    found = {}
    for name, parameter in said.parameters.items():
        kind = parameter.WhichOneof("parameter_choice")
        found[name] = None if kind is None else getattr(parameter, kind)
    return found


def _tensor(tensor: Any, raw: bytes | None) -> dict[str, Any]:
    entry = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
    parameters = {**parameters_of(tensor), **({} if raw is None else {"binary_data_size": len(raw)})}
    values = {} if raw is not None else {"data": [_written(tensor, value) for value in contents_of(tensor)]}
    return {**entry, **values, **({"parameters": parameters} if parameters else {})}


def _written(tensor: Any, value: Any) -> Any:
    """A value as JSON has it."""
    if not isinstance(value, bytes):
        return _number(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise bad(f"{tensor.name}: a value is no UTF-8") from None


def _data(data: Any) -> dict[str, Any]:
    if any(field.field_number == _TFTENSOR for field in UnknownFieldSet(data)):
        raise bad("data.tftensor has no meaning for rows of named columns: send ndarray or tensor")
    found: dict[str, Any] = {"names": list(data.names)} if data.names else {}
    kind = data.WhichOneof("data_oneof")
    if kind == "tensor":
        values = [_number(value) for value in data.tensor.values]
        found["tensor"] = {"shape": list(data.tensor.shape), "values": values}
    elif kind == "ndarray":
        found["ndarray"] = [_plain(value) for value in data.ndarray.values]
    return found


def _plain(value: Any) -> Any:
    """What a google.protobuf.Value holds."""
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        return _number(value.number_value)
    if kind == "list_value":
        return [_plain(one) for one in value.list_value.values]
    if kind == "struct_value":
        return {name: _plain(one) for name, one in value.struct_value.fields.items()}
    return None if kind in (None, "null_value") else getattr(value, kind)


def _number(value: float) -> float | None:
    """A number as JSON has it: one that is none is a null, as JSON has no other."""
    return None if value != value else value
