"""Who is to be forgotten, on record: by a keyed hash, so that the record itself names nobody.

An order is STORE/forgotten/USECASE/STAMP.json. Whoever holds rows of their own, as the drift detector does, looks for
orders, carries each out, and puts what it did beside it, as STAMP.detector.json. So the verb that gives an order needs
to reach nothing but the store, and what is not running now does it when it comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lifeboat.config.pseudonyms import Pseudonyms
from lifeboat.registry.documents import read_document, write_document
from lifeboat.registry.storage import Storage
from lifeboat.registry.versions import file_stamp

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
        return file_stamp(self.at)

    def means(self, ids: Iterable[str], pseudonyms: Pseudonyms) -> set[str]:
        """Those of these ids that are the entity's."""
        return {name for name in ids if name and hash_of(name, pseudonyms) in self.hashes}


def hash_of(name: str, pseudonyms: Pseudonyms) -> str:
    """What a record has in place of an entity's id or of its pseudonym."""
    return pseudonyms.of(_COLUMN, name)


def give_order(storage: Storage, usecase: str, order: Order) -> None:
    """Puts an order on record; raises StorageError."""
    write_document(storage, f"{FOLDER}/{usecase}/{order.name}.json", asdict(order))


def acknowledge(storage: Storage, usecase: str, order: Order, who: str, did: Mapping[str, int]) -> None:
    """Puts what somebody did about an order beside it; raises StorageError."""
    write_document(storage, f"{FOLDER}/{usecase}/{order.name}.{who}.json", did)


def acknowledged(storage: Storage, usecase: str, order: Order, who: str) -> dict[str, int] | None:
    """What somebody did about an order; None as long as nothing is.

    Raises:
        DataError: the record cannot be read.
        StorageError: the store cannot be read.
    """
    key = f"{FOLDER}/{usecase}/{order.name}.{who}.json"
    return read_document(storage, key, dict, "is no record of what was done") if key in storage.keys(key) else None


def open_orders(storage: Storage, who: str) -> list[tuple[str, str]]:
    """Use case and key of each order that somebody has not carried out, the oldest of a use case first.

    Raises:
        StorageError: the store cannot be read.
    """
    keys = storage.keys(f"{FOLDER}/")
    done = {key.removesuffix(f".{who}.json") for key in keys if key.endswith(f".{who}.json")}
    orders = (key for key in keys if key.rpartition("/")[2].count(".") == 1)
    return [(key.split("/")[1], key) for key in orders if key.removesuffix(".json") not in done]


def read_order(storage: Storage, key: str) -> Order:
    """An order by its key; raises as `acknowledged`."""
    return read_document(storage, key, _order, "is no order to forget somebody")


def _order(document: dict[str, Any]) -> Order:
    return Order(**{**document, "hashes": tuple(document["hashes"])})
