"""Features that the caller cannot send: whose they are, where their values lie, from when on and how long they hold.

A use case names them beside its schema, in types of ours and not in Feast's: its module is imported where Feast cannot
be, and whoever has no such features is not to install it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifeboat.config.errors import UseCaseError

if TYPE_CHECKING:
    from lifeboat.usecase.schema import Schema
    from lifeboat.usecase.sql import Sql

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True)
class Entity:
    """What values belong to, such as an airport.

    Args:
        name: small letters, digits and underscores.
        keys: the columns, of the use case's rows and of the views' tables alike, that together say which one it is.
    """

    name: str
    keys: tuple[str, ...]

    def __post_init__(self) -> None:
        _refuse_name("entity", self.name)
        if not isinstance(self.keys, tuple) or not self.keys:
            raise UseCaseError(f"entity {self.name}: keys is {self.keys!r}, not a tuple of column names")


@dataclass(frozen=True)
class View:
    """A table of an entity's values as they came to be, such as the weather of airports by the hour.

    Args:
        name: small letters, digits and underscores.
        entity: whose values they are; each row has its keys.
        source: the table, as `UseCase.data` names one.
        event_time: its column that says from when on the values of a row are true.
        created_time: its column that says when the row was written, where that is later: a row is known from the later
            of the two on, and of rows of one event time the one written last is right. Without such a column a row is
            known as soon as it is true.
        max_age: values whose event is longer ago are none.
        zone: of times that do not say their own.
    """

    name: str
    entity: str
    source: str | Path | Sql
    event_time: str
    created_time: str = ""
    max_age: timedelta | None = None
    zone: str = "UTC"

    def __post_init__(self) -> None:
        _refuse_name("view", self.name)
        if self.max_age is not None and self.max_age <= timedelta(0):
            raise UseCaseError(f"view {self.name}: max_age is {self.max_age}, which no value is as young as")


@dataclass(frozen=True)
class FeatureStore:
    """The views of a use case.

    Args:
        entities, views: see there.
        time: the datetime column of the use case's rows that says when a row was asked about: it gets what was known
            then.
    """

    entities: tuple[Entity, ...]
    views: tuple[View, ...]
    time: str

    def __post_init__(self) -> None:
        for kind, named in (("entities", self.entities), ("views", self.views)):
            names = [one.name for one in named]
            if not names or len(set(names)) < len(names):
                raise UseCaseError(
                    f"feature store: {kind} are {', '.join(names) or 'none'}: at least one, each name once"
                )
        known = [entity.name for entity in self.entities]
        for view in self.views:
            if view.entity not in known:
                raise UseCaseError(f"view {view.name}: its entity {view.entity!r} is none of {', '.join(known)}")

    def keys(self, view: View) -> tuple[str, ...]:
        """The columns by which a view's values are found."""
        return next(entity.keys for entity in self.entities if entity.name == view.entity)

    def to_manifest(self) -> dict[str, Any]:
        """What a server has to know of each view: by which columns its values are found, and their age in seconds."""
        return {
            view.name: {
                "keys": list(self.keys(view)),
                "max_age": None if view.max_age is None else view.max_age.total_seconds(),
            }
            for view in self.views
        }

    def fields(self, view: View, schema: Schema) -> Mapping[str, str]:
        """Column of the schema to the field of the view that it is."""
        sources = {column.name: column.source.partition(":") for column in schema.columns if column.source}
        return {name: field for name, (place, _, field) in sources.items() if place == view.name}


def refuse_unfit_store(store: FeatureStore | None, schema: Schema) -> None:
    """Raises UseCaseError where columns and store do not fit each other."""
    stored = [column for column in schema.columns if column.source]
    if store is None:
        if stored:
            raise UseCaseError(f"column {stored[0].name}: its source is {stored[0].source}, and there is no store")
        return
    views = {view.name for view in store.views}
    for column in stored:
        place, _, field = column.source.partition(":")
        if place not in views or not field:
            form = f"not VIEW:FIELD of a view of the store: {', '.join(sorted(views))}"
            raise UseCaseError(f"column {column.name}: its source is {column.source!r}, {form}")
        if not column.nullable:
            raise UseCaseError(f"column {column.name}: the store may have no value of it, so it is to be nullable")
    for view in store.views:
        if not store.fields(view, schema):
            raise UseCaseError(f"view {view.name}: no column has its source there")
        _refuse_keys(view, store.keys(view), schema)
    time = schema.known.get(store.time)
    if time is None or not time.is_datetime or time.nullable or time.source:
        raise UseCaseError(f"feature store: time: {store.time} is no datetime column of the rows that has no null")


def _refuse_keys(view: View, keys: Iterable[str], schema: Schema) -> None:
    for name in keys:
        key = schema.known.get(name)
        if key is None or key.source or key.kind not in ("string", "category", "integer"):
            raise UseCaseError(f"view {view.name}: its key {name} is no text or integer column that the rows bring")


def _refuse_name(kind: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UseCaseError(f"{kind} {name!r}: a name is small letters, digits and underscores, at most 40")
