"""Who is to be forgotten, on record: by a keyed hash, so that the record itself names nobody.

An order is STORE/forgotten/USECASE/STAMP.json. Whoever holds rows of their own, as the drift detector does, looks for
orders, carries each out, and puts what it did beside it, as STAMP.detector.json. So the verb that gives an order needs
to reach nothing but the store, and what is not running now does it when it comes back.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lifeboat.config.errors import DataError
from lifeboat.config.pseudonyms import Pseudonyms
from lifeboat.registry.storage import Storage

FOLDER = "forgotten"
DETECTOR = "detector"
# What the hash of a name is of: not that of its column, so that a record tells nothing of a labelled row.
_COLUMN = "__forgotten"


@dataclass(frozen=True)
class Order:
    """That somebody's rows are to go.

    Args:
        hashes: of what the entity's id is called in rows: by its name, or by its pseudonym.
        key: fingerprint of the key that made them; by another nobody would be found, and it would seem done.
        at: when it was given, in seconds since 1970.
        by, because: who gave it, and why.
    """

    hashes: tuple[str, ...]
    key: str
    at: float
    by: str = ""
    because: str = ""

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{datetime.fromtimestamp(self.at, UTC):%Y%m%dT%H%M%S%fZ}"

    def means(self, ids: Iterable[str], pseudonyms: Pseudonyms) -> set[str]:
        """Those of these ids that are the entity's."""
        return {name for name in ids if name and hash_of(name, pseudonyms) in self.hashes}


def hash_of(name: str, pseudonyms: Pseudonyms) -> str:
    """What a record has in place of an entity's id or of its pseudonym."""
    return pseudonyms.of(_COLUMN, name)


def give_order(storage: Storage, usecase: str, order: Order) -> None:
    """Puts an order on record; raises StorageError."""
    _write(storage, f"{FOLDER}/{usecase}/{order.name}.json", asdict(order))


def acknowledge(storage: Storage, usecase: str, order: Order, who: str, did: Mapping[str, int]) -> None:
    """Puts what somebody did about an order beside it; raises StorageError."""
    _write(storage, f"{FOLDER}/{usecase}/{order.name}.{who}.json", dict(did))


def acknowledged(storage: Storage, usecase: str, order: Order, who: str) -> dict[str, int] | None:
    """What somebody did about an order; None as long as nothing is.

    Raises:
        DataError: the record cannot be read.
        StorageError: the store cannot be read.
    """
    key = f"{FOLDER}/{usecase}/{order.name}.{who}.json"
    return _read(storage, key) if key in storage.keys(key) else None


def ordered_usecases(storage: Storage) -> list[str]:
    """The use cases of which somebody is, or was, to be forgotten; raises StorageError."""
    return sorted({key.split("/")[1] for key in storage.keys(f"{FOLDER}/") if key.count("/") == 2})


def open_orders(storage: Storage, usecase: str, who: str) -> list[Order]:
    """The orders that somebody has not carried out, the oldest first; raises as `acknowledged`."""
    names = storage.keys(f"{FOLDER}/{usecase}/")
    done = {key.removesuffix(f".{who}.json") for key in names if key.endswith(f".{who}.json")}
    orders = [key for key in names if key.rpartition("/")[2].count(".") == 1 and key.removesuffix(".json") not in done]
    return [_order(storage, key) for key in orders]


def _order(storage: Storage, key: str) -> Order:
    document = _read(storage, key)
    try:
        return Order(**{**document, "hashes": tuple(document["hashes"])})
    except (KeyError, TypeError) as error:
        raise DataError(f"is no order to forget somebody: {error}", file=key) from error


def _write(storage: Storage, key: str, document: Mapping[str, Any]) -> None:
    with tempfile.TemporaryDirectory(prefix="lifeboat-") as folder:
        path = Path(folder) / "record.json"
        path.write_text(json.dumps(document, sort_keys=True, ensure_ascii=False), encoding="utf-8")
        storage.upload(path, key)


def _read(storage: Storage, key: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="lifeboat-") as folder:
        path = Path(folder) / "record.json"
        storage.download(key, path)
        try:
            document = json.loads(path.read_bytes())
        except ValueError as error:
            raise DataError(f"is no record: {error}", file=key) from error
    if not isinstance(document, dict):
        raise DataError("is no record", file=key)
    return document
