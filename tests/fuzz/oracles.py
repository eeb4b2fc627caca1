"""What every answer has to be. Each function gives a sentence for what is wrong, or nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import orjson

from tests.http.framing import Answer
from tests.server.world import expected

from .case import DETECTOR, MODEL, TRIGGER, Case, Part
from .rows import Row, plainest, read_rows

# What a server may say of itself: it does not know the method, the coding or the version.
OF_ITSELF = (501, 505)
CLASSES = ("died", "survived")
OWN = re.compile(r"[0-9a-f]{32}")
_PRINTABLE = re.compile(rb"[!-~]{1,128}")
_IDS = re.compile(rb'"(puid|id)":"[^"]*"')
# Of a float32 near one.
TOLERANCE = 1e-6
# The probabilities of a row that is asked alone, or the status with which it is refused.
Alone = Callable[[bytes], tuple[float, float] | int]
OF_KIND = {"seldon": MODEL, "v2": MODEL, "feedback": MODEL, "events": DETECTOR}


class Oracles:
    """Judges answers.

    Args:
        tags: what the model server says of its model, in Seldon's protocol and in the other.
        alone: answers a row alone.
    """

    def __init__(self, tags: dict[str, str], alone: Alone) -> None:
        self._tags, self._alone = tags, alone
        self._own: dict[str, None] = {}

    def judge(self, case: Case, answers: Sequence[Answer]) -> str | None:
        """The first thing that is wrong with the answers of a case, in their order; interim ones included."""
        try:
            return self._judge(case, answers)
        except Exception as error:  # an answer that no oracle can read is a finding as well
            return f"the answers cannot be judged: {error!r}"

    def _judge(self, case: Case, answers: Sequence[Answer]) -> str | None:
        if case.parts is None and case.statuses is not None:
            found = tuple(answer.status for answer in answers)
            if found != tuple(case.statuses):
                return f"answered {found}, due is {tuple(case.statuses)}"
        final = [answer for answer in answers if answer.status != 100]
        if case.parts is not None:
            if len(final) != len(case.parts):
                return f"{len(final)} answers to {len(case.parts)} requests: {[one.status for one in final]}"
            for part, answer in zip(case.parts, final, strict=True):
                if problem := self._judge_part(case.server, part, answer):
                    return problem
            return _differ(case.parts, final)
        for number, answer in enumerate(final):
            if problem := check_answer(case.server, "plain", answer, number < case.heads):
                return problem
        return None

    def _judge_part(self, server: str, part: Part, answer: Answer) -> str | None:
        if part.want is not None and answer.status != part.want:
            return f"answered {answer.status}, due is {part.want}: {answer.body[:300]!r}"
        if part.want is None and answer.status != 200 and not 400 <= answer.status < 500:
            return f"answered {answer.status}: {answer.body[:300]!r}"
        if problem := check_answer(server, part.kind, answer, part.head):
            return problem
        if answer.status != 200 or part.head:
            return None
        if part.kind in ("seldon", "v2"):
            return self._judge_prediction(part, answer)
        if part.kind == "feedback":
            return self._judge_feedback(part, answer)
        return judge_events(part, answer) if part.kind == "events" else None

    def _judge_feedback(self, part: Part, answer: Answer) -> str | None:
        document = json.loads(answer.body)
        if document.get("data") != {"ndarray": []} or document["meta"].get("tags") != self._tags:
            return f"the answer to a feedback is {answer.body[:300]!r}"
        meta = (orjson.loads(part.text).get("response") or {}).get("meta")
        named, body = document["meta"].get("puid"), meta.get("puid") if type(meta) is dict else None
        due = _carried(part) or body
        if due:
            return None if named == due else f"the answer is called {named!r}, due is {due!r}"
        return self._judge_own(named)

    def _judge_prediction(self, part: Part, answer: Answer) -> str | None:
        try:
            rows = read_rows(part.text, part.binary, part.kind) if part.rows is None else part.rows
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            return f"a prediction is given for what is none: {error!r}"
        try:
            if part.kind == "v2":
                found, problem = self._read_v2(part, answer, len(rows))
            else:
                found, problem = self._read_seldon(part, answer)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            return f"the answer cannot be read: {error!r}: {answer.body[:300]!r}"
        return problem or (None if found is None else self._judge_rows(rows, found))

    def _judge_rows(self, rows: list[Row], found: list[list[float]]) -> str | None:
        if len(rows) != len(found):
            return f"{len(found)} rows are answered, {len(rows)} were asked"
        for number, (row, pair) in enumerate(zip(rows, found, strict=True), start=1):
            alone = self._alone(plainest(row))
            if tuple(pair) != alone:
                return f"row {number} is answered {pair}, alone {alone}: {row}"
            # The model is known: the two could be wrong alike.
            due = expected(row.get("age") or (0 if row.get("age") == 0 else None), port=row.get("port"))
            if abs(pair[1] - due) > TOLERANCE or abs(pair[0] + pair[1] - 1) > TOLERANCE:
                return f"row {number} is answered {pair}, due is {due}: {row}"
        return None

    def _read_seldon(self, part: Part, answer: Answer) -> tuple[list[list[float]], str | None]:
        document = json.loads(answer.body)
        data, meta = document["data"], document["meta"]
        if data["names"] != list(CLASSES):
            return [], f"the classes are {data['names']}"
        if "tensor" in data:
            shape, values = data["tensor"]["shape"], data["tensor"]["values"]
            found = [values[place : place + 2] for place in range(0, len(values), 2)]
            if shape != [len(found), 2]:
                return [], f"the shape is {shape}, the values are {len(values)}"
        else:
            found = data["ndarray"]
        # As the server reads numbers beyond 64 bits: they come back.
        sent = orjson.loads(part.text).get("meta") or {}
        if meta["tags"] != {**sent.get("tags", {}), **self._tags}:
            return [], f"the tags are {meta['tags']}"
        return found, self._judge_puid(part, answer, sent, meta["puid"])

    def _read_v2(self, part: Part, answer: Answer, rows: int) -> tuple[list[list[float]] | None, str | None]:
        """The probabilities, None where only labels were asked for and they are right."""
        length = answer.headers.get("inference-header-content-length")
        text = answer.body if length is None else answer.body[: int(length)]
        document, binary = json.loads(text), answer.body[len(text) :]
        sent = orjson.loads(part.text)
        said = document["model_name"], document["model_version"], document["parameters"]["bundle_digest"]
        if said != tuple(self._tags.values()):
            return None, f"the answer's model is {said}"
        asked = [entry["name"] for entry in sent.get("outputs") or ()] or ["probabilities", "label"]
        if [output["name"] for output in document["outputs"]] != asked:
            return None, f"the outputs are {[output['name'] for output in document['outputs']]}, asked for were {asked}"
        values, labels, binary = _outputs(document["outputs"], binary)
        if binary:
            return None, f"{len(binary)} bytes are of no output"
        if values is None:
            pairs = [self._alone(plainest(row)) for row in read_rows(part.text, part.binary, "v2")]
            values = [list(pair) for pair in pairs if not isinstance(pair, int)]
        if labels is not None and labels != [CLASSES[bool(np.float32(pair[1]) > np.float32(0.5))] for pair in values]:
            return None, f"the labels are {labels[:20]}, the probabilities {values[:20]}"
        wrong = self._judge_puid(part, answer, {"puid": sent.get("id")}, document.get("id"), version=2)
        return values, wrong

    def _judge_puid(
        self, part: Part, answer: Answer, meta: dict[str, Any], named: str | None, version: int = 1
    ) -> str | None:
        """By which names the answer goes: the header's, the body's, or one that nobody has had."""
        carried = _carried(part)
        body, told = meta.get("puid") or "", answer.headers.get("seldon-puid", "")
        if carried and told != carried:
            return f"the header Seldon-Puid is {told!r}, sent was {carried!r}"
        if not carried and (problem := self._judge_own(told)):
            return problem
        due = (body or (None if carried else told)) if version == 2 else carried or body or told
        return None if named == due else f"the answer is called {named!r}, due is {due!r}"

    def _judge_own(self, name: Any) -> str | None:
        if type(name) is not str or not OWN.fullmatch(name):
            return f"the server's own puid is {name!r}"
        if name in self._own:
            return f"the puid {name} is given twice"
        self._own[name] = None
        if len(self._own) > 50_000:
            del self._own[next(iter(self._own))]
        return None


def _carried(part: Part) -> str:
    """The header's puid, if a header can carry it."""
    header = (part.puid or b"").strip(b" \t")
    return header.decode() if _PRINTABLE.fullmatch(header) else ""


def _outputs(outputs: list[dict[str, Any]], binary: bytes) -> tuple[list[list[float]] | None, list[str] | None, bytes]:
    """Probabilities, labels and what binary data is left."""
    values: list[list[float]] | None = None
    labels: list[str] | None = None
    for output in outputs:
        size = (output.get("parameters") or {}).get("binary_data_size")
        content, binary = (b"", binary) if size is None else (binary[:size], binary[size:])
        if output["name"] == "probabilities":
            flat = output["data"] if size is None else np.frombuffer(content, "<f4").tolist()
            # JSON has the shortest text of a float32, which reads as another float64 than the bytes.
            numbers = flat if size is None else [float(str(np.float32(value))) for value in flat]
            values = [numbers[place : place + 2] for place in range(0, len(numbers), 2)]
            if output["shape"] != [len(values), 2]:
                raise ValueError(f"the shape is {output['shape']}")
        elif size is None:
            labels = output["data"]
        else:
            labels = []
            while content:
                end = 4 + int.from_bytes(content[:4], "little")
                labels.append(content[4:end].decode())
                content = content[end:]
    return values, labels, binary


def judge_events(part: Part, answer: Answer) -> str | None:
    """Of what was sent, how much is acknowledged."""
    document = json.loads(answer.body)
    taken, refused = document["accepted"], document.get("refused", 0)
    if part.want == 200 and refused:
        return f"of intact events some are refused: {document}"
    due = len(json.loads(part.text)) if part.label == "batch" else 1
    return None if taken + refused == due else f"{taken} are taken and {refused} refused of {due} events"


def check_answer(server: str, kind: str, answer: Answer, head: bool) -> str | None:
    """What holds for any answer: its status, its form, its fields."""
    status, headers = answer.status, answer.headers
    if not (200 <= status < 300 or 400 <= status < 500 or status in OF_ITSELF):
        return f"answered {status}: {answer.body[:300]!r}"
    for name in ("date", "content-length", "content-type"):
        if name not in headers:
            return f"there is no header {name} in the answer {status}"
    if b"Traceback" in answer.body:
        return f"there is a traceback in the answer: {answer.body[:300]!r}"
    if status == 405 and "GET, HEAD" not in headers.get("allow", "") and "POST" not in headers.get("allow", ""):
        return f"a 405 allows {headers.get('allow')!r}"
    if status >= 400 and not head and not any(is_error(form, answer) for form in forms_of_errors(server, kind)):
        return f"an answer {status} has not the form of an error: {answer.body[:300]!r}"
    return None


def forms_of_errors(server: str, kind: str) -> Sequence[str]:
    """Whose form an error may have."""
    if server == TRIGGER:
        return ("trigger",)
    if kind == "v2":
        return ("v2",)
    # What is not even a request has the form of the first protocol; a path may have become one of the second.
    return ("seldon", "v2") if kind in ("plain", "refusal") and server == MODEL else ("seldon",)


def is_error(form: str, answer: Answer) -> bool:
    """Whether an answer is an error as a protocol words it."""
    if not answer.headers["content-type"].startswith("application/json"):
        return False
    try:
        document = json.loads(answer.body)
    except ValueError:
        return False
    if form in ("v2", "trigger"):
        return set(document) == {"error"} and type(document["error"]) is str and document["error"] != ""
    status = document.get("status") if set(document) == {"status"} else None
    reason = "MICROSERVICE_BAD_DATA" if answer.status < 500 else "MICROSERVICE_INTERNAL_ERROR"
    return (
        type(status) is dict
        and (status.get("status"), status.get("code"), status.get("reason")) == (1, -1, reason)
        and type(status.get("info")) is str
        and status["info"] != ""
    )


def _differ(parts: Sequence[Part], answers: Sequence[Answer]) -> str | None:
    """Two requests that are the same but for their framing must have the same answer, but for ids."""
    first: dict[int, bytes] = {}
    for part, answer in zip(parts, answers, strict=True):
        if part.same < 0:
            continue
        body = _IDS.sub(b"", answer.body)
        if first.setdefault(part.same, body) != body:
            return f"the same request is answered {first[part.same][:300]!r} and {body[:300]!r}"
    return None
