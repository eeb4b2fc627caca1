"""The places that a run needs: its home, the registry, the bundle store, the environments of the services."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from lifeboat.config.errors import LifeboatError
from lifeboat.config.settings import NO_DETECTOR, Settings, variable
from lifeboat.registry.bundle_store import stored
from lifeboat.registry.storage import DirectoryStorage, open_storage
from lifeboat.system.http_request import NoAnswerError, ask

# A run leaves some megabytes; with less a database may not find room for its journal.
LEAST_BYTES = 200_000_000
SECONDS = 3.0


def check_places(settings: Settings) -> list[str]:
    """What is wrong with them, each in a sentence with its remedy."""
    return [*_check_home(settings), *_check_registry(settings), *_check_store(settings), *_check_environments(settings)]


def _check_home(settings: Settings) -> Iterator[str]:
    home = settings.home_path
    place = next(path for path in (home, *home.parents) if path.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        why = "not writable" if place.is_dir() else "no folder"
        yield f"home {home} cannot be written: {place} is {why}; use --home"
    elif (free := shutil.disk_usage(place).free) < LEAST_BYTES:
        yield f"the disk of {home} has {free / 1e6:,.0f} MB left, a run wants {LEAST_BYTES / 1e6:,.0f}; use --home"


def _check_registry(settings: Settings) -> Iterator[str]:
    url = urlsplit(settings.tracking)
    if url.scheme == "sqlite":
        yield from _check_database(Path(url.path[1:]), settings)
    elif url.scheme in ("http", "https"):
        yield from _check_server(settings)
    elif url.hostname:
        yield from _check_address(url.hostname, url.port, settings)


def _check_database(path: Path, settings: Settings) -> Iterator[str]:
    if not path.exists():
        return
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=0.5)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()
    except sqlite3.Error as error:
        yield f"the model registry {settings.shown_tracking} cannot be used: {error}"


def _check_server(settings: Settings) -> Iterator[str]:
    try:
        status = ask(f"{settings.tracking.rstrip('/')}/health", seconds=SECONDS).status
    except NoAnswerError as error:
        yield f"the model registry {settings.shown_tracking} does not answer: {error}"
        return
    if status not in (200, 401, 403, 404):  # it is there; what it asks for is MLflow's client's to say
        yield f"the model registry {settings.shown_tracking} answers {status}"


def _check_address(host: str, port: int | None, settings: Settings) -> Iterator[str]:
    """A database of another kind: whether anybody listens there."""
    if port is None:
        return
    try:
        socket.create_connection((host, port), timeout=SECONDS).close()
    except OSError as error:
        yield f"the model registry {settings.shown_tracking} does not answer: {error.strerror or error}"


def _check_store(settings: Settings) -> Iterator[str]:
    try:
        storage = open_storage(settings.bundle_store, settings.s3)
        if isinstance(storage, DirectoryStorage):
            place = next(path for path in (storage.root, *storage.root.parents) if path.exists())
            if not os.access(place, os.W_OK | os.X_OK):
                yield f"the bundle store {storage.root} cannot be written: {place} is not writable"
        else:
            stored(storage, "none")
    except LifeboatError as error:
        yield f"the bundle store: {error}"


def _check_environments(settings: Settings) -> Iterator[str]:
    """Those that the settings name; what is not named is made when a server is to start."""
    chosen = {"serving_python": settings.serving_python, "detector_python": settings.detector_python}
    for name, python in chosen.items():
        if python not in ("", NO_DETECTOR) and shutil.which(python) is None:
            yield f"{variable(name)} is {python}, which is no program of this machine"
