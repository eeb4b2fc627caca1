"""The labelled table of a use case with what its feature store knew of each row."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lifeboat.data.reading import ignore
from lifeboat.registry.storage import S3
from lifeboat.registry.tables import SourceTable, read_source
from lifeboat.system.progress import quiet

if TYPE_CHECKING:
    from lifeboat.feature_store.join import JoinedView
    from lifeboat.usecase.usecase import UseCase


def read_rows(
    usecase: UseCase,
    source: str,
    s3: S3,
    folder: Path,
    *,
    assume: Callable[[str], None] = ignore,
    first_rows: bool = False,
    as_of: datetime | None = None,
    say: Callable[[str], None] = quiet,
) -> tuple[SourceTable, Mapping[str, JoinedView]]:
    """Reads a table, and joins the use case's feature store to it where there is one.

    Args:
        usecase: says how the table is written, and has the store.
        source, s3, folder, assume, first_rows: see `read_source`.
        as_of, say: see `join_features`.

    Returns:
        The table; its digest is that of the views' tables as well. And what became of each view that was joined.

    Raises:
        DataError, StorageError, UseCaseError: see `read_source` and `join_features`.
    """
    found = read_source(source, s3, folder, csv=usecase.csv, assume=assume, first_rows=first_rows)
    if usecase.store is None:
        return found, {}
    # Imported here: who has no store is not to have DuckDB.
    from lifeboat.feature_store.join import join_features

    joined = join_features(
        found.table,
        usecase.store,
        usecase.schema,
        folder,
        name=found.name,
        csv=usecase.csv,
        s3=s3,
        as_of=as_of,
        say=say,
    )
    if found.digest and joined.views:
        lines = [found.digest, *(f"{name} {view.digest}" for name, view in sorted(joined.views.items()))]
        found = replace(found, digest=hashlib.sha256("\n".join(lines).encode()).hexdigest())
    return replace(found, table=joined.table), joined.views
