"""Bundles by digest: fetched once, verified, and kept beside the database."""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from components.core.bundle import FILES, MANIFEST, open_bundle
from components.core.errors import BundleError, LifeboatError, StorageError
from components.core.schema import Schema
from components.core.storage import open_storage
from serving.drift.rows import Decoder, RefusedError
from serving.drift.rule import Rule
from serving.drift.settings import Settings
from serving.server import log

_DIGEST, _NAME = re.compile(r"[0-9a-f]{64}"), re.compile(r"[a-z][a-z0-9-]{0,39}")
FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
# A bundle in a directory or nearby is here within this time, and then nothing has to be put aside for it.
PATIENCE = 2.0


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
    rule: Rule
    decoder: Decoder


@dataclass
class _Failure:
    """Why a bundle could not be had, whether it is altered, and when it is tried again."""

    reason: str
    altered: bool
    until: float
    delay: float


class Bundles:
    """Fetches bundles in a thread of its own, so that a store that hangs holds up nothing else.

    Args:
        settings: give the store and the place of the copies.
        arrived: is called in that thread after each try.
    """

    def __init__(self, settings: Settings, arrived: Callable[[], None]) -> None:
        self._settings, self._arrived = settings, arrived
        self._folder = Path(f"{settings.database}-bundles")
        self._known: dict[tuple[str, str], Known] = {}
        self._coming: dict[tuple[str, str], Future[Known]] = {}
        self._failures: dict[tuple[str, str], _Failure] = {}
        self._pool, self._lock = ThreadPoolExecutor(1, "bundles"), threading.Lock()

    def find(self, usecase: str, digest: str) -> Known:
        """Gives a bundle.

        Raises:
            RefusedError: there can be none of this name, or it is altered.
            NotYetError: it is not here yet.
        """
        key = usecase, digest
        with self._lock:
            return self._known.get(key) or self._find(key)

    @property
    def problems(self) -> list[str]:
        """Why bundles are missing, for people."""
        return [failure.reason for failure in list(self._failures.values())]

    def keep(self, used: set[tuple[str, str]]) -> None:
        """Removes the copies of all other bundles."""
        for key in self._known.keys() - used:
            shutil.rmtree(self._known.pop(key).directory, ignore_errors=True)
        for key in self._failures.keys() - used:
            if time.monotonic() > self._failures[key].until + self._settings.bundle_seconds:
                del self._failures[key]

    def close(self) -> None:
        """Waits for nothing."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _find(self, key: tuple[str, str]) -> Known:
        usecase, digest = key
        if not _NAME.fullmatch(usecase) or not _DIGEST.fullmatch(digest):
            raise RefusedError("unknown model")
        failure = self._failures.get(key)
        if failure is not None and time.monotonic() < failure.until:
            raise RefusedError("altered bundle") if failure.altered else NotYetError(failure.reason)
        return self._take(key)

    def _take(self, key: tuple[str, str]) -> Known:
        coming = self._coming.get(key)
        if coming is None:
            coming = self._coming[key] = self._pool.submit(self._fetch, *key)
            coming.add_done_callback(lambda _: self._arrived())
            if key not in self._failures:
                wait([coming], PATIENCE)
        if not coming.done():
            raise NotYetError("the bundle is being fetched")
        del self._coming[key]
        try:
            known = self._known[key] = coming.result()
        except LifeboatError as error:
            self._fail(key, error)
            raise RefusedError("altered bundle") if self._failures[key].altered else NotYetError(str(error)) from None
        self._failures.pop(key, None)
        return known

    def _fail(self, key: tuple[str, str], error: LifeboatError) -> None:
        before = self._failures.get(key)
        delay = FIRST_DELAY if before is None else min(2 * before.delay, LONGEST_DELAY)
        self._failures[key] = _Failure(str(error), isinstance(error, BundleError), time.monotonic() + delay, delay)
        log.error("a bundle cannot be used", usecase=key[0], digest=key[1], reason=str(error), again_seconds=delay)

    def _fetch(self, usecase: str, digest: str) -> Known:
        directory = self._folder / usecase / digest
        if directory.exists():
            try:
                return self._open(directory, digest)
            except BundleError as error:
                log.error("a kept bundle is fetched again", reason=str(error))
                shutil.rmtree(directory)
        self._download(f"bundles/{usecase}/{digest}", directory)
        try:
            return self._open(directory, digest)
        except BundleError:
            shutil.rmtree(directory)
            raise

    def _download(self, prefix: str, directory: Path) -> None:
        storage = open_storage(self._settings.store, self._settings.s3)
        try:
            directory.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".fetch-") as temporary:
                new = Path(temporary) / "bundle"
                for name in (*FILES, MANIFEST):
                    storage.download(f"{prefix}/{name}", new / name)
                new.replace(directory)
        except OSError as error:
            raise StorageError(f"{directory} cannot be written: {error.strerror or error}") from error

    def _open(self, directory: Path, digest: str) -> Known:
        bundle = open_bundle(directory)
        if bundle.digest != digest:
            raise BundleError(f"{directory} holds the bundle {bundle.digest}")
        decoder = Decoder(bundle.schema, self._settings.max_rows, self._settings.max_depth)
        return Known(directory, bundle.schema, Rule.of_manifest(bundle.manifest), decoder)
