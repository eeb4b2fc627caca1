"""What people decided about truths, on record: which sources' rows teach, and which word of a conflict holds.

A record is a file of its own, STORE/trust/USECASE/STAMP-DIGEST.json, written once and never changed; so what was
decided by a moment in the past can be told from what came later, as it can of the labelled rows.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lifeboat.config.errors import SettingsError
from lifeboat.config.sources import TABLE, is_source
from lifeboat.registry.documents import read_document, text_of, write_document
from lifeboat.registry.storage import Storage
from lifeboat.registry.versions import LONGEST_REASON, file_stamp

FOLDER = "trust"
# What becomes of a row: it teaches, or it waits for somebody to look at its source, or somebody said no.
Standing = Literal["trusted", "waiting", "rejected"]


@dataclass(frozen=True)
class Ruling:
    """That a source's rows teach, or do not.

    Args:
        source: whose.
        accept: True for the rows there were; False for all, those still to come as well, until it is accepted again.
        at: when it was said, in seconds since 1970.
        since: rows whose truth came from then on, in seconds since 1970.
        by, because: who said so, and why.
    """

    source: str
    accept: bool
    at: float
    since: float = 0.0
    by: str = ""
    because: str = ""

    def __post_init__(self) -> None:
        _check(self.source, self.at, self.because)
        if not 0 <= self.since <= self.at:
            raise SettingsError("since is not a moment of the past")


@dataclass(frozen=True)
class Settlement:
    """Which word of a conflict holds.

    Args:
        row: the entity's id as text, or the request's and the row's place in it, PUID:ROW.
        keep: the source whose word holds, or `TABLE`.
        at, by, because: see `Ruling`.
    """

    row: str
    keep: str
    at: float
    by: str = ""
    because: str = ""

    def __post_init__(self) -> None:
        _check(self.keep, self.at, self.because, TABLE)


def _check(source: str, at: float, because: str, *others: str) -> None:
    if source not in others and not is_source(source):
        raise SettingsError(f"{source[:60]!r} cannot be the name of a source")
    if not math.isfinite(at):
        raise SettingsError("a record without its moment")
    if len(because) > LONGEST_REASON:
        raise SettingsError(f"the reason has {len(because)} characters, the limit is {LONGEST_REASON}")


@dataclass(frozen=True)
class Trust:
    """Who is trusted, and what was decided besides.

    Args:
        sources: whose rows teach unless a ruling says otherwise.
        rulings: in the order in which they were said.
        settlements: the last one of each conflict.
    """

    sources: frozenset[str] = frozenset()
    rulings: tuple[Ruling, ...] = ()
    settlements: tuple[Settlement, ...] = ()

    def standing(self, sources: NDArray[np.object_], labelled_at: NDArray[np.float64]) -> NDArray[np.object_]:
        """What becomes of rows, a `Standing` each, [n].

        Args:
            sources: who said what was true of each, [n].
            labelled_at: when, in seconds since 1970, [n].
        """
        found = np.where(np.isin(sources, list(self.sources)), "trusted", "waiting").astype(object)
        for ruling in self.rulings:
            of_source = (sources == ruling.source) & (labelled_at >= ruling.since)
            ends = [later.at for later in self.rulings if later.source == ruling.source and later.at > ruling.at]
            if ruling.accept:
                found[of_source & (labelled_at <= ruling.at)] = "trusted"
            else:
                found[of_source & (labelled_at <= min(ends, default=math.inf))] = "rejected"
        return found

    @property
    def kept(self) -> dict[str, str]:
        """Whose word holds, by the row that a settlement names."""
        return {settlement.row: settlement.keep for settlement in self.settlements}


def read_trust(storage: Storage, usecase: str, sources: frozenset[str], *, until: float = math.inf) -> Trust:
    """Reads what was decided about a use case's rows.

    Args:
        storage: the store.
        usecase: its name.
        sources: who is trusted by the settings.
        until: as it was decided then, in seconds since 1970; now unless given.

    Raises:
        DataError: a record cannot be read; names its key.
        StorageError: the store cannot be read.
    """
    records = [_read_record(storage, key) for key in storage.keys(f"{FOLDER}/{usecase}/")]
    known = sorted((one for one in records if one.at <= until), key=lambda one: one.at)
    settlements = {one.row: one for one in known if isinstance(one, Settlement)}
    return Trust(sources, tuple(one for one in known if isinstance(one, Ruling)), tuple(settlements.values()))


def _read_record(storage: Storage, key: str) -> Ruling | Settlement:
    return read_document(storage, key, _record, "is no record of a decision")


def _record(document: dict[str, Any]) -> Ruling | Settlement:
    return Settlement(**document) if "row" in document else Ruling(**document)


def write_records(storage: Storage, usecase: str, records: Sequence[Ruling | Settlement]) -> None:
    """Puts decisions on record, a file each.

    Raises:
        StorageError: one cannot be written; those before it were.
    """
    for record in records:
        document = asdict(record)
        digest = hashlib.sha256(text_of(document).encode()).hexdigest()
        write_document(storage, f"{FOLDER}/{usecase}/{file_stamp(record.at)}-{digest[:12]}.json", document)


def erase_settlements(storage: Storage, usecase: str, rows: Collection[str]) -> int:
    """Takes out what was settled of rows, for good, and gives how many records that were; raises as `read_trust`."""
    erased = 0
    for key in storage.keys(f"{FOLDER}/{usecase}/"):
        record = _read_record(storage, key)
        if isinstance(record, Settlement) and record.row in rows:
            storage.erase(key)
            erased += 1
    return erased


def write_conflicts(storage: Storage, usecase: str, number: int) -> None:
    """Notes how many conflicts wait for somebody, where the drift detector finds it and gives it to whoever alerts.

    Only a run knows the table, and nobody scrapes a run.

    Raises:
        StorageError: it cannot be written.
    """
    write_document(storage, f"{FOLDER}/{usecase}.json", {"conflicts": number})


def read_conflicts(storage: Storage, usecase: str) -> int:
    """How many conflicts the last run met that nobody has settled since; 0 where none ever looked.

    Raises:
        DataError: the note cannot be read.
        StorageError: the store cannot be read.
    """
    key = f"{FOLDER}/{usecase}.json"
    if key not in storage.keys(key):
        return 0
    return read_document(
        storage, key, lambda document: int(document["conflicts"]), "does not say how many conflicts there are"
    )
