"""Forgetting an entity: out of what is kept of live rows, and told where it still is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lifeboat.config.errors import LifeboatError, SettingsError
from lifeboat.config.pseudonyms import ensure_key, is_pseudonym
from lifeboat.config.settings import Settings
from lifeboat.data.labelled.erasing import Erased, erase_rows
from lifeboat.data.labelled.forgotten import DETECTOR, FOLDER, Order, acknowledged, give_order, hash_of
from lifeboat.data.labelled.trust import erase_settlements
from lifeboat.data.timestamps import read_timestamp
from lifeboat.model.bundle import MANIFEST
from lifeboat.personal.run_files import QUARANTINE, TRAIN, bundle_digest, holds, number_of, row_files, spelled, take_out
from lifeboat.registry.documents import read_document
from lifeboat.registry.registry import Registry
from lifeboat.registry.storage import Storage, open_storage
from lifeboat.registry.tables import read_source
from lifeboat.registry.versions import Version
from lifeboat.services.detector import database_path, detector_service
from lifeboat.ui.runs import LOOPS
from lifeboat.usecase.column import Column, entity_name
from lifeboat.usecase.usecase import UseCase

LOOK_SECONDS = 0.5
# What a bundle has to do with an entity.
LEARNED, JUDGED, PERHAPS = "learned from it", "was judged on it", "may have learned from it"


@dataclass
class Forgotten:
    """What became of an entity's rows.

    Args:
        labelled: what was taken out of the labelled rows.
        detector: what the drift detector took out; None where it has not done it yet, empty where there is none.
        quarantine: rows taken out of runs' files of broken rows.
        runs: folder of a run to those of its files that still hold it.
        bundles: version and digest to what it has to do with it.
        table: where the use case's own table holds it; empty where it does not.
        unknown: what could not be looked into, a sentence each.
        record: where the order is.
    """

    labelled: Erased
    detector: dict[str, int] | None
    quarantine: int
    runs: dict[str, list[str]]
    bundles: dict[str, str]
    table: str
    unknown: list[str] = field(default_factory=list)
    record: str = ""


def forget(
    usecase: UseCase,
    settings: Settings,
    entity: str,
    *,
    table: str,
    by: str,
    because: str,
    patience: float,
    say: Callable[[str], None],
) -> Forgotten:
    """Forgets an entity.

    Args:
        usecase: whose rows.
        settings: home, store and key.
        entity: its id, as the table has it.
        table: where the labelled table is, which is only looked into.
        by, because: who wants it, and why, for the record.
        patience: seconds that the drift detector is waited for.
        say: told what is being done.

    Raises:
        SettingsError: rows of the use case have no id, or this is none.
        LifeboatError: a file or the store cannot be read or written.
    """
    column = _id_column(usecase)
    if not (settings.personal_key or settings.personal_key_file or "://" in settings.bundle_store):
        ensure_key(settings.personal_key_path)
    pseudonyms = settings.pseudonyms
    if not pseudonyms:
        raise SettingsError(
            "nobody can be put on record without a name while there is no personal_key and no personal_key_file"
        )
    name = _canonical(column, entity)
    is_named = column.name in usecase.schema.personal_keys and not is_pseudonym(name)
    names = {name, pseudonyms.of(column.name, name)} if is_named else {name}
    storage = open_storage(settings.bundle_store, settings.s3)
    hashes = tuple(sorted(hash_of(one, pseudonyms) for one in names))
    order = Order(hashes, pseudonyms.fingerprint, time.time(), by, because)
    give_order(storage, usecase.name, order)
    did = _wait_for_detector(storage, usecase.name, order, settings, patience, say)
    say("looking through the labelled rows")
    labelled = erase_rows(storage, usecase.name, lambda rows: _of_entity(rows, column, names))
    erase_settlements(storage, usecase.name, names)
    found = Forgotten(labelled, did, 0, {}, {}, "", record=f"{storage.url}/{FOLDER}/{usecase.name}/{order.name}.json")
    found.unknown += [f"{key} cannot be read: {reason}" for key, reason in labelled.unread.items()]
    say("looking through the files of runs")
    _look_at_runs(settings, column, names, found)
    say("looking into the table")
    _look_at_table(usecase, settings, table, column, names, found)
    found.bundles |= dict(_look_at_bundles(usecase, settings, storage, found))
    return found


def _id_column(usecase: UseCase) -> Column:
    if usecase.schema.id is None:
        raise SettingsError(f"rows of {usecase.name} have no id: nothing says which are somebody's")
    return usecase.schema.known[usecase.schema.id]


def _canonical(column: Column, entity: str) -> str:
    try:
        value = column.parse(number_of(entity) if column.kind in ("integer", "float") else entity)
    except ValueError as error:
        raise SettingsError(f"{column.name}: {error}") from None
    if not (name := entity_name(value)):
        raise SettingsError(f"{column.name}: nobody is meant")
    return name


def _of_entity(rows: pa.Table, column: Column, names: set[str]) -> NDArray[np.bool_]:
    if column.name not in rows.column_names:
        return np.zeros(rows.num_rows, dtype=bool)
    name = spelled(column)
    return np.array([name(cell) in names for cell in rows.column(column.name).to_pylist()], dtype=bool)


def _wait_for_detector(
    storage: Storage, usecase: str, order: Order, settings: Settings, patience: float, say: Callable[[str], None]
) -> dict[str, int] | None:
    """What the detector did; None where it has not done it by then."""
    running = detector_service(settings).find().is_running()
    if not running and "://" not in settings.bundle_store:
        return None if database_path(settings).exists() else {}
    say("waiting for the drift detector")
    deadline = time.monotonic() + patience
    while (did := acknowledged(storage, usecase, order, DETECTOR)) is None and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
    return did


def _look_at_runs(settings: Settings, column: Column, names: set[str], found: Forgotten) -> None:
    for file in row_files(settings.home_path):
        if file.kind == QUARANTINE:
            found.quarantine += take_out(file, column, names)
        elif holds(file, column, names):
            found.runs.setdefault(file.run.name, []).append(file.kind)
            digest = bundle_digest(file.run)
            if digest and found.bundles.get(digest) != LEARNED:
                found.bundles[digest] = LEARNED if file.kind == TRAIN else JUDGED
    for path in sorted(settings.home_path.glob("detector/*.broken-*")):
        found.unknown.append(f"{path} is a broken database that was put aside: remove it")
    loops = settings.home_path / LOOPS
    if loops.is_dir() and any(loops.iterdir()):
        found.unknown.append(f"{loops} has demonstrations with rows of the table: remove what is not needed")


def _look_at_table(
    usecase: UseCase, settings: Settings, table: str, column: Column, names: set[str], found: Forgotten
) -> None:
    try:
        read = read_source(table, settings.s3, settings.home_path / "tmp", csv=usecase.csv, assume=lambda _: None)
    except LifeboatError as error:
        found.unknown.append(f"the table was not looked into: {error}")
        return
    if _of_entity(read.table, column, names).any():
        found.table = read.name


def _look_at_bundles(
    usecase: UseCase, settings: Settings, storage: Storage, found: Forgotten
) -> Iterator[tuple[str, str]]:
    """Of registered bundles whose run's files are not here: what their lineage says of when they learned."""
    here = {bundle_digest(run) for run in {file.run for file in row_files(settings.home_path)}}
    for version in Registry(settings).overview(usecase.name).versions:
        if version.digest in here:
            continue
        lineage = _lineage(storage, version)
        until = read_timestamp(lineage.get("labelled_until", ""), "labelled_until")
        took = until is not None and until.timestamp() >= found.labelled.since
        if took or found.table:
            yield version.digest, PERHAPS


def _lineage(storage: Storage, version: Version) -> dict[str, Any]:
    """What a bundle's manifest says of its data; nothing where the store has it no more."""
    key = f"bundles/{version.name}/{version.digest}/{MANIFEST}"
    if key not in storage.keys(key):
        return {}
    return read_document(storage, key, lambda manifest: dict(manifest["lineage"]["data"]), "is no manifest of a bundle")
