"""What a client asks Seldon's executor, and what the executor then sent: `recorded.json`, read and written."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

RECORDED = Path(__file__).with_name("recorded.json")
# In the place of the bundle's digest.
DIGEST = "{digest}"
NAMES = ["name", "port", "age", "class", "alone"]
ANN, BOB = ["Ann", "C", 22.5, 3, True], ["Bob", None, None, 1, False]
KINDS = {"name": "BYTES", "port": "BYTES", "age": "FP64", "class": "INT64", "alone": "BOOL"}
PREDICT, FEEDBACK = "/api/v1.0/predictions", "/api/v1.0/feedback"
INFER = "/v2/models/tiny/infer"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Part:
    """A request as it went over the wire, and its answer; bytes stand as the text of their Latin-1."""

    method: str
    path: str
    headers: dict[str, str]
    body: str = ""
    status: int = 0
    answer: str = ""

    def about(self, digest: str) -> Part:
        """The same of a bundle with this digest."""
        body, answer = (text.replace(DIGEST, digest) for text in (self.body, self.answer))
        return replace(self, body=body, answer=answer)


@dataclass(frozen=True)
class Scene:
    """One request of a client.

    Args:
        name: what it is about.
        protocol: of the executor.
        client: what was asked and answered.
        model: what the model server was asked.
        events: what the detector was sent, requests before responses.
    """

    name: str
    protocol: str
    client: Part
    model: tuple[Part, ...] = ()
    events: tuple[Part, ...] = ()


def recorded(protocol: str) -> list[Scene]:
    """What an executor did."""
    return [
        Scene(
            one["name"], one["protocol"], Part(**one["client"]), tuple(Part(**part) for part in one["model"]),
            tuple(Part(**part) for part in one["events"]),
        )
        for one in json.loads(RECORDED.read_text())
        if one["protocol"] == protocol
    ]  # fmt: skip


def write(scenes: list[Scene]) -> None:
    """Replaces the file."""
    RECORDED.write_text(json.dumps([asdict(scene) for scene in scenes], indent=1) + "\n")


def _ask(
    name: str,
    path: str,
    body: Any = None,
    protocol: str = "seldon",
    content_type: str = "application/json",
    **more: str,
) -> Scene:
    text = body if isinstance(body, str) else json.dumps(body) if body is not None else ""
    headers = {"Content-Type": content_type} if text else {}
    headers |= {key.replace("_", "-"): value for key, value in more.items()}
    return Scene(name, protocol, Part("POST" if text else "GET", path, headers, text))


def _rows(*rows: list[Any], **meta: str) -> dict[str, Any]:
    return {"data": {"names": NAMES, "ndarray": list(rows)}, **({"meta": meta} if meta else {})}


def _tensors(*rows: list[Any], **more: Any) -> dict[str, Any]:
    columns = zip(KINDS.items(), zip(*rows, strict=True), strict=True)
    inputs = [
        {"name": name, "datatype": kind, "shape": [len(rows)], "data": list(values)} for (name, kind), values in columns
    ]
    return {"inputs": inputs, **more}


TENSOR = {"data": {"names": NAMES, "tensor": {"shape": [2, 5], "values": [*ANN, *BOB]}}}
OBJECTS = {"jsonData": [{**dict(zip(NAMES, row, strict=True)), "id": id_} for id_, row in ((1, ANN), (2, BOB))]}
OLD = ["Ann", "C", 300, 3, True]
BY_PUID = {"response": {"meta": {"puid": "mine"}}, "truth": {"data": {"ndarray": ["survived", 0]}}, "reward": 1}
BINARY_OUTPUT = [{"name": "probabilities", "parameters": {"binary_data": True}}]

SCENES = [
    _ask("one row", PREDICT, _rows(ANN)),
    _ask("a tensor with a puid", PREDICT, TENSOR, Seldon_Puid="mine"),
    _ask("objects with ids", PREDICT, OBJECTS),
    _ask("a form", "/api/v0.1/predictions", f"json={quote(json.dumps(_rows(BOB)))}", content_type=FORM),
    _ask("a puid in meta", PREDICT, _rows(ANN, puid="unheard")),
    _ask("refused", PREDICT, _rows(OLD), Seldon_Puid="again"),
    _ask("corrected, with the same puid", PREDICT, _rows(ANN), Seldon_Puid="again"),
    _ask("no JSON", PREDICT, "{"),
    _ask("not to be logged", PREDICT, _rows(ANN), Seldon_Skip_Logging="1"),
    _ask("truth by puid", FEEDBACK, BY_PUID),
    _ask("truth by id", FEEDBACK, {"truth": {"jsonData": [{"id": 2, "fate": 1}]}}),
    _ask("no truth", FEEDBACK, {"truth": {"data": {"ndarray": ["unknown"]}}}),
    _ask("metadata", "/api/v1.0/metadata/tiny"),
    _ask("status", "/api/v1.0/status/tiny"),
    _ask("one row", INFER, _tensors(ANN), "v2"),
    _ask("two rows with an id", INFER, _tensors(ANN, BOB, id="unheard"), "v2"),
    _ask("refused", INFER, _tensors(OLD), "v2"),
    _ask("binary data asked for", INFER, _tensors(ANN, BOB, outputs=BINARY_OUTPUT), "v2"),
    _ask("metadata", "/v2/models/tiny", protocol="v2"),
    _ask("status", "/v2/models/tiny/ready", protocol="v2"),
]
