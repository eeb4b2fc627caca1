"""The labelled table, wherever it lives: a file, a folder or pattern of files, an object store, or a database.

A file's digest is that of its bytes. What came in several files, or from a database, has no order of its own: its rows
are sorted, and the digest is theirs, whatever they came in.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lifeboat.config.errors import DataError, StorageError, first_line
from lifeboat.data.csv.dialect import PLAIN, Csv
from lifeboat.data.fingerprint import table_digest
from lifeboat.data.reading import FIRST_ROWS, ignore, read_batches, read_first_rows, read_table
from lifeboat.registry.storage import S3, local_copy, open_storage
from lifeboat.system.files import file_digest
from lifeboat.usecase.sql import DRIVERS, Sql

_WILD = "*?["
# What a folder may hold beside its files, such as _SUCCESS.
_HIDDEN = (".", "_")


@dataclass(frozen=True)
class SourceTable:
    """A table as it was read.

    Args:
        name: of it, for errors.
        table: its cells, as `lifeboat.data.reading.read_table` gives them.
        digest: of the file, or of the rows in their own order; empty of the first rows alone.
        whole: whether these are all rows.
    """

    name: str
    table: pa.Table
    digest: str
    whole: bool = True


def read_source(
    source: str,
    s3: S3,
    folder: Path,
    *,
    csv: Csv = PLAIN,
    assume: Callable[[str], None] = ignore,
    first_rows: bool = False,
) -> SourceTable:
    """Reads a labelled table.

    Args:
        source: a path or URL of a CSV or Parquet file (see `local_copy`; gs:// too), of a folder of them, or with a
            pattern such as part-*.parquet in its last part; or the text of a `Sql`.
        s3: endpoint and keys for an s3:// URL.
        folder: takes downloads, which are removed again.
        csv, assume: see `read_table`.
        first_rows: of a long table only `FIRST_ROWS`, for a look at it.

    Raises:
        DataError: it cannot be read; names file and row, or says what the database answered.
        StorageError: the place cannot be read.
    """
    if (query := Sql.read(source)) is not None:
        table, whole = _query(query, FIRST_ROWS if first_rows else None)
        return _of_rows(source, table, whole=whole, look=first_rows)
    with _files(source, s3, folder) as files:
        if len(files) == 1 and files[0][0] == source:
            [(shown, path)] = files
            name = shown if "://" in shown else str(path)
            if first_rows:
                table, whole = read_first_rows(path, name=name, csv=csv, assume=assume)
                return SourceTable(name, table, "", whole)
            return SourceTable(name, read_table(path, name=name, csv=csv, assume=assume), file_digest(path))
        table, whole = _together(files, csv, assume, FIRST_ROWS if first_rows else None)
    assume(f"the table is {len(files):,} files")
    return _of_rows(source, table, whole=whole, look=first_rows)


def _of_rows(name: str, table: pa.Table, *, whole: bool, look: bool) -> SourceTable:
    if not table.num_rows:
        raise DataError("has no rows", file=name)
    if look:
        return SourceTable(name, table, "", whole)
    ordered = sort_rows(table)
    return SourceTable(name, ordered, rows_digest(ordered))


def sort_rows(table: pa.Table) -> pa.Table:
    """The rows in an order that depends on nothing but what they hold."""
    keys = {name: _comparable(table.column(name)) for name in sorted(table.column_names)}
    order = pc.sort_indices(pa.table(keys), sort_keys=[(name, "ascending") for name in keys])
    return table.take(order)


def rows_digest(table: pa.Table) -> str:
    """The sha256 of all rows, sorted as `sort_rows` does; in which order its columns stand does not matter."""
    return table_digest(pa.table({name: _comparable(table.column(name)) for name in sorted(table.column_names)}))


def _comparable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """As int64, float64 or text."""
    kind = column.type
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return column.cast(pa.int64())
    if pa.types.is_floating(kind):
        return column.cast(pa.float64())
    return column.cast(pa.string())


@contextmanager
def _files(source: str, s3: S3, folder: Path) -> Iterator[list[tuple[str, Path]]]:
    """Each file's name and its path on this machine."""
    with ExitStack() as stack:
        yield [(name, stack.enter_context(_local(name, s3, folder))) for name in _names(source, s3)]


def _names(source: str, s3: S3) -> list[str]:
    """The files that a source is, sorted."""
    if source.startswith("gs:"):
        return _gcs_names(source)
    remote = source.startswith("s3:")
    if "://" in source and not remote:
        return [source]
    place, _, last = source.rpartition("/")
    wild = any(sign in last for sign in _WILD)
    if remote:
        if last and not wild:
            return [source]
        found = [f"{place}/{key}" for key in open_storage(place, s3).keys("") if _matches(key, last)]
    elif Path(source).is_dir():
        found = [
            str(path) for path in Path(source).rglob("*") if path.is_file() and _is_shown(path.relative_to(source))
        ]
    elif wild and not Path(source).exists():
        found = [str(path) for path in Path(place or ".").glob(last) if path.is_file()]
    else:
        return [source]
    if not found:
        raise DataError("no file is there", file=source)
    return sorted(found)


def _matches(key: str, pattern: str) -> bool:
    return fnmatchcase(key, pattern) if pattern else _is_shown(Path(key))


def _is_shown(path: Path) -> bool:
    return not any(part.startswith(_HIDDEN) for part in path.parts)


@contextmanager
def _local(name: str, s3: S3, folder: Path) -> Iterator[Path]:
    if not name.startswith("gs:"):
        with local_copy(name, s3, folder) as path:
            yield path
        return
    # Named as it is in the bucket: a pattern may have several of one name.
    target = folder / ".gcs" / name.removeprefix("gs://")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _gcs_errors(name):
            system, place = _gcs(name)
            with system.open_input_stream(place) as stream, target.open("wb") as file:
                while block := stream.read(1 << 20):
                    file.write(block)
        yield target
    finally:
        target.unlink(missing_ok=True)


def _gcs_names(source: str) -> list[str]:
    place, _, last = source.removeprefix("gs://").rpartition("/")
    if last and not any(sign in last for sign in _WILD):
        return [source]
    from pyarrow import fs

    with _gcs_errors(source):
        system, _ = _gcs(source)
        found = system.get_file_info(fs.FileSelector(place, recursive=not last))
    paths = sorted(info.path for info in found if info.type == fs.FileType.File)
    chosen = [f"gs://{path}" for path in paths if _matches(path.removeprefix(f"{place}/"), last)]
    if not chosen:
        raise DataError("no file is there", file=source)
    return chosen


def _gcs(name: str) -> tuple[Any, str]:
    """Google's own client, which finds its credentials by itself; and the path in it."""
    from pyarrow import fs

    return fs.GcsFileSystem(), name.removeprefix("gs://")


@contextmanager
def _gcs_errors(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        # Behind the sentence it tells of its own source.
        said = first_line(error).partition(" error_info=")[0]
        raise StorageError(f"{name} cannot be read: {said}") from error


def _together(
    files: list[tuple[str, Path]], csv: Csv, assume: Callable[[str], None], most: int | None
) -> tuple[pa.Table, bool]:
    """All files as one table, and whether that is all of them."""
    tables: list[pa.Table] = []
    rows = 0
    for name, path in files:
        batches = list(read_batches(path, name=name, csv=csv, assume=assume if not tables else ignore))
        if not batches:
            continue
        found = pa.Table.from_batches(batches)
        if tables and (problem := _differs(tables[0], found)):
            raise DataError(f"{problem}, and those of one table have the same", file=name)
        tables.append(found.select(tables[0].column_names) if tables else found)
        rows += found.num_rows
        if most is not None and rows >= most:
            break
    try:
        whole = len(tables) == len(files)
        return (pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})), whole
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f"the files differ in a column's type: {first_line(error)}", file=files[0][0]) from error


def _differs(first: pa.Table, other: pa.Table) -> str:
    missing = sorted(set(first.column_names) - set(other.column_names))
    extra = sorted(set(other.column_names) - set(first.column_names))
    if missing:
        return f"has no column {', '.join(missing)}, which the first file has"
    return f"has the column {', '.join(extra)}, which the first file has not" if extra else ""


# Databases.


def _query(sql: Sql, most: int | None) -> tuple[pa.Table, bool]:
    """The answer, at least `most` of its rows, and whether that is all of it."""
    module, package = DRIVERS[sql.scheme]
    try:
        driver = importlib.import_module(f"{module}.dbapi")
    except ImportError as error:
        raise DataError(f"{error}; pip install '{package}' brings the driver", file=sql.scheme) from error
    batches: list[pa.RecordBatch] = []
    rows = 0
    try:
        with driver.connect(**_connection(sql)) as connection, connection.cursor() as cursor:
            cursor.execute(sql.query)
            reader = cursor.fetch_record_batch()
            for batch in reader:
                batches.append(batch)
                rows += batch.num_rows
                if most is not None and rows >= most:
                    return _plain(pa.Table.from_batches(batches)), False
            return _plain(pa.Table.from_batches(batches, reader.schema)), True
    except driver.Error as error:
        said = " ".join(str(error).split())
        raise DataError(f"the database says: {said[:300]}", file=sql.uri) from error


def _connection(sql: Sql) -> dict[str, Any]:
    """As each driver's `connect` takes it."""
    if sql.scheme == "sqlite":
        path = sql.uri.removeprefix("sqlite://")
        if not Path(path).is_file():  # of which its driver says that no memory is left
            raise DataError("no such file", file=path)
        return {"uri": f"file:{path}?mode=ro"}
    if sql.scheme == "bigquery":
        project, _, dataset = sql.uri.removeprefix("bigquery://").partition("/")
        return {"db_kwargs": {"adbc.bigquery.sql.project_id": project, "adbc.bigquery.sql.dataset_id": dataset}}
    return {"uri": sql.uri}


def _plain(table: pa.Table) -> pa.Table:
    """Numbers of any precision, which come as an extension type, as the text that they are written in."""
    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type
        if isinstance(kind, pa.BaseExtensionType):
            column = pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type)
        columns[name] = column
    return pa.table(columns)
