"""Models by the digest of their bundle: fetched, checked and kept, so that what is explained is what answered."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from lifeboat.config.errors import LifeboatError
from lifeboat.explainer.settings import ExplainerSettings
from lifeboat.http.errors import RequestError, bad
from lifeboat.model.explaining.explainer import Explainer
from lifeboat.model.tensors import tensor_types
from lifeboat.registry.bundle_store import is_address, open_stored
from lifeboat.registry.storage import open_storage
from lifeboat.server.protocols.row_parser import Reader
from lifeboat.system import log

# After a bundle could not be had, until it is tried again: anybody who reaches us can invent digests.
AGAIN_SECONDS = 2.0
Key = tuple[str, str]


class ExplainedModel(NamedTuple):
    """What is used of a bundle.

    Args:
        explainer: of its answers.
        reader: of its rows.
        kinds: name and type of each input of its graph.
        names: of an answer's numbers.
    """

    explainer: Explainer
    reader: Reader
    kinds: tuple[tuple[str, type], ...]
    names: tuple[str, ...]


class Models:
    """Those in memory; one is loaded at a time, in a thread.

    Args:
        settings: give the store, the place of the copies and the limits.

    Raises:
        StorageError: the store's address is none.
    """

    def __init__(self, settings: ExplainerSettings) -> None:
        open_storage(settings.store, settings.s3)  # a wrong address is said now
        self._settings = settings
        self._known: OrderedDict[Key, asyncio.Future[ExplainedModel]] = OrderedDict()
        self._thread = ThreadPoolExecutor(1, "bundles")

    async def get(self, usecase: str, digest: str) -> ExplainedModel:
        """Gives a model.

        Raises:
            RequestError: 400 for what names none, 404 for a bundle that cannot be had, with the reason.
        """
        if not is_address(usecase, digest):
            raise bad("usecase and digest name no bundle")
        key = usecase, digest
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = asyncio.get_running_loop().run_in_executor(self._thread, self._load, key)
            found.add_done_callback(lambda future: self._forget(key, future))
        self._known.move_to_end(key)
        while len(self._known) > self._settings.max_models:
            self._known.popitem(last=False)
        try:
            # Shielded: others wait for it too.
            return await asyncio.shield(found)
        except LifeboatError as error:
            raise RequestError(404, f"the bundle cannot be had: {error}") from None

    def close(self) -> None:
        """Waits for nothing."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _forget(self, key: Key, future: asyncio.Future[ExplainedModel]) -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            log.error("a bundle cannot be explained", usecase=key[0], digest=key[1], reason=str(error))
            asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._known.pop, key, None)

    def _load(self, key: Key) -> ExplainedModel:
        settings = self._settings
        storage = open_storage(settings.store, settings.s3)
        bundle = open_stored(storage, *key, Path(settings.cache) / key[1])
        reader = Reader(bundle.schema, settings.max_rows)
        return ExplainedModel(Explainer(bundle), reader, tensor_types(bundle.schema.columns), bundle.task.names)
