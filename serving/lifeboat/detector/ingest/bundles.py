"""Bundles by digest: fetched once, verified, and kept beside the database."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lifeboat.config.errors import BundleError, LifeboatError
from lifeboat.detector.ingest.rows import Decoder, RefusedError
from lifeboat.detector.settings import DetectorSettings
from lifeboat.detector.windows.window_policy import WindowPolicy
from lifeboat.registry.bundle_store import fetch, is_address, stored
from lifeboat.registry.storage import open_storage
from lifeboat.system import log
from lifeboat.system.backoff import pauses
from lifeboat.usecase.schema import Schema

FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
# The store is asked what it holds at most this often, however many bundles are asked for that it does not hold.
LIST_SECONDS = 2.0
# Of the reasons why bundles are missing, for people.
SHOWN = 20
Key = tuple[str, str]


class NotYetError(Exception):
    """A bundle that may come later; its text says why it is not here."""


@dataclass(frozen=True)
class Known:
    """What is used of a bundle.

    Args:
        directory: where it is on this machine.
        schema: of its rows.
        rule: its windows and alarms.
        decoder: of its payloads.
    """

    directory: Path
    schema: Schema
    window_policy: WindowPolicy
    decoder: Decoder


@dataclass
class _Failure:
    """Why a bundle could not be had, whether it is altered, and when it is tried again."""

    reason: str
    altered: bool
    until: float
    pauses: Iterator[float]


class Bundles:
    """Fetches bundles in a thread of its own, so that a store that hangs holds up nothing else.

    Only what the store says it holds is fetched, and nothing is kept of what is merely asked for: anybody can invent
    digests.

    Args:
        settings: give the store, the place of the copies, and the key of pseudonyms.
        arrived: is called in that thread after each try.

    Raises:
        SettingsError: the key of pseudonyms cannot be read.
    """

    def __init__(self, settings: DetectorSettings, arrived: Callable[[], None]) -> None:
        self._settings, self._arrived = settings, arrived
        self._pseudonyms = settings.pseudonyms
        self._directory = Path(f"{settings.database}-bundles")
        self._known: dict[Key, Known] = {}
        self._coming: dict[Key, Future[Known]] = {}
        self._failures: dict[Key, _Failure] = {}
        self._local = {(path.parent.name, path.name) for path in self._directory.glob("*/*")}
        self._stored: set[Key] = set()
        self._listing, self._listed, self._problem = False, -LIST_SECONDS, ""
        self._pool, self._lock = ThreadPoolExecutor(1, "bundles"), threading.Lock()

    def find(self, usecase: str, digest: str) -> Known:
        """Gives a bundle; never waits for one.

        Raises:
            RefusedError: there can be none of this name, or it is altered.
            NotYetError: it is not here yet.
        """
        key = usecase, digest
        with self._lock:
            return self._known.get(key) or self._find(key)

    def has(self, usecase: str, digest: str) -> bool:
        """Whether `find` may give it, now or soon: the store holds it as far as is known."""
        key = usecase, digest
        with self._lock:
            if key in self._known or self._exists(key):
                return True
            self._list()
            return False

    @property
    def problems(self) -> list[str]:
        """Why bundles are missing, for people."""
        reasons = [failure.reason for failure in list(self._failures.values())]
        return ([self._problem] if self._problem else []) + reasons[:SHOWN]

    def keep(self, used: set[Key]) -> None:
        """Removes the copies of all other bundles."""
        for key in self._known.keys() - used:
            shutil.rmtree(self._known.pop(key).directory, ignore_errors=True)
            self._local.discard(key)
        for key in self._failures.keys() - used:
            if time.monotonic() > self._failures[key].until + self._settings.bundle_seconds:
                del self._failures[key]

    def close(self) -> None:
        """Waits for nothing."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _find(self, key: Key) -> Known:
        usecase, digest = key
        if not is_address(usecase, digest):
            raise RefusedError("unknown model")
        failure = self._failures.get(key)
        if failure is not None and time.monotonic() < failure.until:
            raise RefusedError("altered bundle") if failure.altered else NotYetError(failure.reason)
        coming = self._coming.get(key)
        if coming is None:
            if not self._exists(key):
                self._list()
                raise NotYetError(self._problem or f"the store holds no bundle {digest} of {usecase}")
            coming = self._coming[key] = self._pool.submit(self._fetch, *key)
            coming.add_done_callback(lambda _: self._arrived())
        if not coming.done():
            raise NotYetError("the bundle is being fetched")
        del self._coming[key]
        return self._take(key, coming)

    def _take(self, key: Key, coming: Future[Known]) -> Known:
        try:
            known = self._known[key] = coming.result()
        except LifeboatError as error:
            self._fail(key, error)
            raise RefusedError("altered bundle") if self._failures[key].altered else NotYetError(str(error)) from None
        self._failures.pop(key, None)
        self._local.add(key)
        return known

    def _exists(self, key: Key) -> bool:
        """Whether the store has it as far as is known, or this machine."""
        return key in self._stored or key in self._local

    def _list(self) -> None:
        """Has the store asked what it holds, unless that was done a moment ago."""
        if not self._listing and time.monotonic() - self._listed >= LIST_SECONDS:
            self._listing = True
            self._pool.submit(self._read_list).add_done_callback(lambda _: self._arrived())

    def _read_list(self) -> None:
        try:
            self._stored = stored(open_storage(self._settings.store, self._settings.s3), self._settings.usecase)
            self._problem = ""
        except LifeboatError as error:
            self._problem = str(error)
        finally:
            self._listed, self._listing = time.monotonic(), False

    def _fail(self, key: Key, error: LifeboatError) -> None:
        before = self._failures.get(key)
        waits = pauses(FIRST_DELAY, LONGEST_DELAY) if before is None else before.pauses
        delay = next(waits)
        self._failures[key] = _Failure(str(error), isinstance(error, BundleError), time.monotonic() + delay, waits)
        log.error("a bundle cannot be used", usecase=key[0], digest=key[1], reason=str(error), again_seconds=delay)

    def _fetch(self, usecase: str, digest: str) -> Known:
        directory = self._directory / usecase / digest

        def say_altered(error: BundleError) -> None:
            log.error("a kept bundle is fetched again", reason=str(error))

        storage = open_storage(self._settings.store, self._settings.s3)
        bundle = fetch(storage, usecase, digest, directory, say_altered)
        decoder = Decoder(bundle.schema, self._settings.max_rows, self._settings.max_depth, self._pseudonyms)
        return Known(directory, bundle.schema, WindowPolicy.of_bundle(bundle), decoder)
