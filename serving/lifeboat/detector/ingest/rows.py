"""From a prediction's two events to rows and answers, read by the model server's own readers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import orjson

from lifeboat.config.pseudonyms import NO_PSEUDONYMS, Pseudonyms
from lifeboat.detector.ingest.cloudevents import BATCH_BYTES, BINARY, CloudEvent
from lifeboat.http.body import read_document
from lifeboat.http.errors import RequestError
from lifeboat.http.http_types import HEADER_LENGTH, Request, Response
from lifeboat.server.columnar import Requests, read_inputs
from lifeboat.server.protocols.row_parser import Columns, Reader
from lifeboat.server.protocols.seldon import SeldonCodec
from lifeboat.server.protocols.v2 import V2Codec
from lifeboat.tasks.kinds import task_of
from lifeboat.usecase.schema import Schema

NOBODY = {"model_name": "", "model_version": "", "bundle_digest": ""}


class RefusedError(Exception):
    """An event that is of no use; its text is the reason under which it is counted."""


class _OffSchemaError(RequestError):
    """Rows that the schema refuses."""


class _Reader(Reader):
    """Tells rows that the schema refuses from a payload that is broken."""

    def from_rows(self, rows: Any, names: Any, where: str) -> Columns:
        """As `Reader` has it."""
        with _as_off_schema():
            return super().from_rows(rows, names, where)

    def from_objects(self, rows: Any, where: str) -> Columns:
        """As `Reader` has it."""
        with _as_off_schema():
            return super().from_objects(rows, where)

    def from_columns(self, columns: dict[str, list[Any]], rows: int) -> Columns:
        """As `Reader` has it."""
        with _as_off_schema():
            return super().from_columns(columns, rows)


@contextmanager
def _as_off_schema() -> Iterator[None]:
    try:
        yield
    except RequestError as error:
        raise _OffSchemaError(error.status, error.info) from None


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except _OffSchemaError:
        raise RefusedError("schema") from None
    except RequestError:
        raise RefusedError("payload") from None


class Decoder:
    """Reads the payloads of one bundle.

    Args:
        schema: of its rows.
        max_rows: of a prediction.
        max_depth: of JSON.
        pseudonyms: of personal keys, which are kept in their place.
    """

    def __init__(self, schema: Schema, max_rows: int, max_depth: int, pseudonyms: Pseudonyms = NO_PSEUDONYMS) -> None:
        self._reader, self._task = _Reader(schema, max_rows), task_of(schema.label)
        self._max_depth, self._pseudonyms, self._schema = max_depth, pseudonyms, schema
        self._personal = [
            (len(schema.columns) + place, key.name) for place, key in enumerate(schema.keys) if key.personal
        ]
        # Of each output that the answer's numbers are in, how many a row has.
        self._widths = {name: self._task.outputs[name].width or 1 for name in self._task.answer_outputs}
        self._seldon = SeldonCodec(self._reader, self._task.names, {})
        self._v2 = V2Codec(self._reader, self._task, self._task.decision(), NOBODY, max_depth)

    def read(self, request: CloudEvent, answer: dict[str, Any], blob: bytes) -> tuple[Columns, list[Any]]:
        """Reads a prediction.

        Args:
            request: as it was sent.
            answer, blob: JSON of the response and the binary data behind it.

        Returns:
            The values of inputs and keys, pseudonyms among them, column by column; and what is kept of each row's
            answer.

        Raises:
            RefusedError: schema or payload.
        """
        with _refusing():
            columns = self._read_v2(request) if "outputs" in answer else self._read_seldon(request)
        numbers = self._v2_numbers(answer, blob) if "outputs" in answer else self._seldon_numbers(answer)
        return self._without_names(columns), self._kept(numbers, len(columns[0]))

    def read_many(self, document: dict[str, Any], count: int) -> tuple[Requests, Columns, list[Any]]:
        """Reads predictions that came in one event.

        Args:
            document: its content.
            count: how many predictions it says it holds.

        Returns:
            Whose the rows are; and as `read`, of all of them.

        Raises:
            RefusedError: schema or payload.
        """
        with _refusing():
            requests = Requests.read(document)
            if len(requests.ids) != count:
                raise RefusedError("payload")
            columns = read_inputs(document, sum(requests.rows), self._reader.from_columns)
        kept = self._kept(self._v2_numbers(document, b""), len(columns[0]))
        return requests, self._without_names(columns), kept

    def entity(self, name: str) -> str:
        """What an id that a truth names is called where predictions are kept."""
        personal = self._schema.id in self._schema.personal_keys
        return self._pseudonyms.of(str(self._schema.id), name) if personal else name

    def _without_names(self, columns: Columns) -> Columns:
        """With pseudonyms in place of personal keys."""
        for place, name in self._personal:
            columns[place] = [self._pseudonyms.of(name, str(value)) for value in columns[place]]
        return columns

    def _kept(self, numbers: list[list[Any]], rows: int) -> list[Any]:
        """What is kept of each row's answer."""
        is_number = self._task.is_number
        if any(len(column) != rows or not all(map(is_number, column)) for column in numbers):
            raise RefusedError("payload")
        kept: list[Any] = self._task.kept(np.column_stack(numbers)).tolist()
        return kept

    def _read_seldon(self, event: CloudEvent) -> Columns:
        document = read_json(event, self._max_depth)
        document.pop("meta", None)  # the puid is known, the rest is not needed
        return self._seldon.read(document).columns

    def _read_v2(self, event: CloudEvent) -> Columns:
        content = event.content if isinstance(event.content, bytes) else orjson.dumps(event.content)
        request = _request(event, content)
        if event.content_type.startswith(BINARY):
            _, blob = split_binary(content, "inputs")
            request.headers[HEADER_LENGTH] = b"%d" % (len(content) - len(blob))
        return self._v2.read(request).columns

    def _seldon_numbers(self, answer: dict[str, Any]) -> list[list[Any]]:
        """The numbers of the answers, column by column."""
        data = answer.get("data")
        if type(data) is not dict:
            raise RefusedError("payload")
        names, wanted = data.get("names"), self._task.names
        known: list[Any] = names if type(names) is list else []
        places = [known.index(name) for name in wanted] if all(name in known for name in wanted) else range(len(wanted))
        try:
            if "tensor" in data:
                width, values = data["tensor"]["shape"][1], data["tensor"]["values"]
                return [list(values[place::width]) for place in places]
            return [[row[place] for row in data["ndarray"]] for place in places]
        except (KeyError, TypeError, IndexError, ValueError):
            raise RefusedError("payload") from None

    def _v2_numbers(self, answer: dict[str, Any], blob: bytes) -> list[list[Any]]:
        """The same of outputs in JSON or in the binary data behind it."""
        place, found = 0, dict[str, list[Any]]()
        try:
            for output in answer["outputs"]:
                size: int | None = (output.get("parameters") or {}).get("binary_data_size")
                if output["name"] in self._widths:
                    found[output["name"]] = _numbers(output, blob, place, size)
                place += size or 0
        except (KeyError, TypeError, AttributeError, ValueError):
            raise RefusedError("payload") from None
        if found.keys() != self._widths.keys():
            raise RefusedError("no score")
        return [found[name][column::width] for name, width in self._widths.items() for column in range(width)]


def read_json(event: CloudEvent, max_depth: int) -> dict[str, Any]:
    """The JSON object of an event, also of one that came as a form; raises RefusedError (payload)."""
    if not isinstance(event.content, bytes):
        document = event.content
    else:
        try:
            document = read_document(_request(event, event.content), max_depth)
        except RequestError:
            raise RefusedError("payload") from None
    if type(document) is not dict:
        raise RefusedError("payload")
    return document


def read_answer(event: CloudEvent) -> tuple[dict[str, Any], bytes]:
    """JSON of a response and the binary data behind it; raises RefusedError (payload)."""
    document, blob = event.content, b""
    if isinstance(document, bytes):
        try:
            if event.content_type.startswith(BINARY):
                document, blob = split_binary(document, "outputs")
            else:
                document = orjson.loads(document)
        except (RequestError, orjson.JSONDecodeError):
            raise RefusedError("payload") from None
    if type(document) is not dict:
        raise RefusedError("payload")
    return document, blob


def split_binary(content: bytes, part: str) -> tuple[dict[str, Any], bytes]:
    """The JSON and the binary data behind it, without the header that says where one ends.

    Raises:
        RefusedError: payload.
    """
    try:
        # One character for each byte, so that the end found is the one in bytes.
        _, end = json.JSONDecoder().raw_decode(content[:BATCH_BYTES].decode("latin-1"))
        document = orjson.loads(content[:end])
        size = sum((entry.get("parameters") or {}).get("binary_data_size", 0) for entry in document[part])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise RefusedError("payload") from None
    start = len(content) - size
    if type(size) is not int or start < end or content[end:start].strip():
        raise RefusedError("payload")
    return document, content[start:]


def _numbers(output: dict[str, Any], blob: bytes, place: int, size: int | None) -> list[Any]:
    """The numbers of an output, in its JSON or from a place in the binary data."""
    return list(output["data"]) if size is None else np.frombuffer(blob[place : place + size], "<f4").tolist()


def _request(event: CloudEvent, body: bytes) -> Request:
    headers = {b"content-type": event.content_type.encode("latin-1", "replace")} if event.content_type else {}
    return Request(_Nowhere(), b"POST", b"/", headers, body, True, 0.0)


class _Nowhere:
    """Takes the answer of a request that was answered long ago."""

    peer = ""

    def reply(self, request: Request, response: Response) -> None:
        """Forgets it."""
