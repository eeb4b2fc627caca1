"""Asks the explainer for the reasons of answers, by the digest of this server's bundle; none of its work is done here.

The question is JSON: the rows as tensors of the Open Inference Protocol, whose bundle answers them, and until when an
answer is of use. The answer is JSON as well: see `lifeboat.server.explained`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import orjson

from lifeboat.config.errors import SettingsError
from lifeboat.config.token_file import token_headers
from lifeboat.http.errors import RequestError, unavailable
from lifeboat.http.http_client import Answer, HttpClient, Target
from lifeboat.server.columnar import InputWriter
from lifeboat.server.explained import Explained
from lifeboat.server.identity import ModelMetadata
from lifeboat.server.protocols.row_parser import Columns
from lifeboat.server.settings import ServerSettings
from lifeboat.system import log
from lifeboat.system.tracing import HEADER

# What the explainer may take beyond the deadline to say that it is over, and bytes of what it says.
GRACE_SECONDS, MAX_BYTES = 1.0, 32 * 1024 * 1024
NO_FIELDS: Mapping[str, Any] = MappingProxyType({})


class Explanations:
    """Asks the explainer about one model.

    Args:
        metadata: of the model.
        settings: where the explainer is, and how long an answer may take.

    Raises:
        SettingsError: the URL is none, or the file of the token holds none.
    """

    def __init__(self, metadata: ModelMetadata, settings: ServerSettings) -> None:
        self._inputs, self._seconds = InputWriter(metadata.schema), settings.explain_seconds
        self._head = {"usecase": metadata.usecase, "digest": metadata.identity.digest, "seconds": self._seconds}
        self._headers = token_headers(settings.token_file)
        self._client: HttpClient | None = None
        if settings.explainer_url:
            self.ask_at(settings.explainer_url)

    def ask_at(self, url: str) -> None:
        """Asks at another URL.

        Raises:
            SettingsError: the URL is none.
        """
        try:
            target = Target.of(url)
        except ValueError as error:
            raise SettingsError(f"explainer_url is {url!r}: {error}") from None
        if self._client is not None:
            self._client.close()
        self._client = HttpClient(target)

    async def ask(
        self, columns: Columns, outputs: Sequence[str] | None, parent: str = "", fields: Mapping[str, Any] = NO_FIELDS
    ) -> Explained:
        """The reasons of the answers to some rows.

        Args:
            columns: as `Reader` gives them.
            outputs: names of the answer's numbers; the usual ones unless given.
            parent: the `traceparent` of the question; none unless given.
            fields: of a line of the log about it.

        Raises:
            RequestError: 501 without an explainer; 503 where it cannot be reached, or is busy; 504 where it took too
                long; or what it finds wrong with the request.
        """
        client = self._client
        if client is None:
            raise RequestError(501, "nothing here explains answers: the setting explainer_url names no explainer")
        question = {**self._head, "outputs": outputs, "rows": len(columns[0]), "inputs": self._inputs.write(columns)}
        seconds = self._seconds + GRACE_SECONDS
        try:
            body = orjson.dumps(question)
            headers = {**self._headers(), **({HEADER: parent} if parent else {})}
            answer = await client.post(body, "application/json", headers, seconds, MAX_BYTES)
            return _read(answer, fields)
        except TimeoutError:
            raise RequestError(504, f"the explainer gave no answer within {seconds:g} s") from None
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            log.error("the explainer cannot be asked", url=client.target.url, reason=repr(error), **fields)
            raise unavailable("the explainer cannot be reached") from None


def _read(answer: Answer, fields: Mapping[str, Any]) -> Explained:
    if answer.status == 200:
        return Explained.read(answer.body)
    info = str(orjson.loads(answer.body)["status"]["info"])
    if answer.status == 404:  # of a bundle that the explainer's store does not hold, of which the client knows nothing
        log.error("the explainer has not this model", reason=info, **fields)
        raise unavailable("the explainer has not this model")
    if answer.status in (401, 403):  # our token, not the client's
        log.error("the explainer does not know this server's token", reason=info, **fields)
        raise unavailable("the explainer cannot be asked")
    again = answer.headers.get(b"retry-after", b"")
    raise RequestError(answer.status, info, b"retry-after: %b\r\n" % again if again else b"")
