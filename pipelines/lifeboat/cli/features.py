"""`lifeboat features` and `lifeboat features export`: the labelled rows, and as a file."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from lifeboat.config.errors import DataError
from lifeboat.config.settings import Settings
from lifeboat.data.labelled.labelled_report import Contents, check_target, describe, write_rows
from lifeboat.data.labelled.labelled_rows import FOLDER, LabelledRows, load_labelled, say_apart
from lifeboat.data.timestamps import format_timestamp
from lifeboat.registry.storage import open_storage
from lifeboat.system.markup import terminal_text
from lifeboat.usecase.usecase import UseCase, load_usecase

# What is shown to a person of each; --json shows all.
MOST_DAYS, MOST_VERSIONS, MOST_REFUSED = 14, 6, 10
HOW_IT_FILLS = """\
It fills when truth comes back: send it to /api/v1.0/feedback of the model server, and the drift detector writes each
prediction here with its truth."""


def features(options: argparse.Namespace, settings: Settings) -> int:
    """Prints what the store holds for a use case."""
    usecase, moment = load_usecase(options.usecase), options.as_of
    place, found = _read(usecase, moment, settings)
    contents = describe(found, usecase.schema)
    if options.json:
        facts = {"usecase": usecase.name, "store": place, "as_of": format_timestamp(moment) if moment else None}
        print(json.dumps({**facts, **asdict(contents)}, indent=1, ensure_ascii=False))
        return 0
    print("\n".join(_lines(usecase, place, moment, contents)))
    return 0


def export(options: argparse.Namespace, settings: Settings) -> int:
    """Writes the rows of a use case to a file."""
    target, usecase, moment = Path(options.target), load_usecase(options.usecase), options.as_of
    check_target(target)
    place, found = _read(usecase, moment, settings)
    if not found.table.num_rows:
        raise DataError(f"{_nothing(moment, found.apart)}; {target} is not written", file=place)
    write_rows(target, found, {"usecase": usecase.name, "until": found.until, "digest": found.digest})
    rows, until, digest = found.table.num_rows, found.until, found.digest[:12]
    print(f"wrote {rows:,} rows, the last truth of {until}, digest {digest}: {target}")
    for line in _refused(found.refused):
        print(line)
    return 0


def _read(usecase: UseCase, moment: datetime | None, settings: Settings) -> tuple[str, LabelledRows]:
    """The address of a use case's rows, and the rows."""
    storage = open_storage(settings.bundle_store, settings.s3)
    found = load_labelled(storage, usecase.name, usecase.schema, trusted=settings.trusted, until=moment)
    return f"{storage.url}/{FOLDER}/{usecase.name}", found


def _nothing(moment: datetime | None, apart: Mapping[str, Mapping[str, int]]) -> str:
    """Why no row teaches."""
    if kept := sum(sum(sources.values()) for sources in apart.values()):
        return f"all {kept:,} labelled rows are kept apart, and none of them teaches"
    return f"no truth was known as of {format_timestamp(moment)}" if moment else "no truth has come yet"


def _lines(usecase: UseCase, place: str, moment: datetime | None, contents: Contents) -> Iterator[str]:
    known = f", as of {format_timestamp(moment)}" if moment else ""
    yield f"Labelled rows of {usecase.name}: {contents.rows:,}{known}"
    yield _line("store", place)
    if contents.rows:
        yield from _figures(contents)
    elif contents.apart:
        yield _line("teach", f"none: {_nothing(moment, contents.apart)}")
    else:
        yield f"It is empty: {_nothing(moment, {})}.\n{HOW_IT_FILLS}"
    for line in say_apart(contents.apart):
        yield _line("kept apart", line)
    yield from _refused(contents.refused)


def _figures(contents: Contents) -> Iterator[str]:
    yield _line("truth came", " to ".join(dict.fromkeys([min(contents.days), max(contents.days)])))
    hidden = len(contents.days) - MOST_DAYS
    if hidden > 0:
        yield _line("", f"... {hidden:,} days before")
    for day, rows in list(contents.days.items())[-MOST_DAYS:]:
        yield _line("", f"{day} {rows:>9,}")
    yield _line("sources", _listed(contents.sources))
    for name, value in contents.label.items():
        yield _line(name, _listed(value) if isinstance(value, dict) else f"{value:g}")
    older = len(contents.versions) - MOST_VERSIONS
    versions = {f"version {name}": rows for name, rows in list(contents.versions.items())[-MOST_VERSIONS:]}
    yield _line("answered by", _listed(versions) + (f", and {older:,} older ones" if older > 0 else ""))
    nulls = {name: share for name, share in contents.nulls.items() if share}
    yield _line("nulls", ", ".join(f"{name} {share:.1%}" for name, share in nulls.items()) or "none")
    yield _line("corrected", f"{contents.corrected:,} by a later truth")
    yield _line("broken", f"{contents.broken:,} rows break the schema of today")
    yield _line("digest", contents.digest)
    yield _line("again", f"--as-of {contents.until} gives the same rows")


def _refused(refused: dict[str, str]) -> Iterator[str]:
    for key, reason in list(refused.items())[:MOST_REFUSED]:
        yield _line("left out", f"{key}: {reason}")
    others = len(refused) - MOST_REFUSED
    if others > 0:
        yield _line("left out", f"... {others:,} more files")


def _listed(counts: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {rows:,}" for name, rows in counts.items())


def _line(name: str, text: str) -> str:
    return f"  {name:13} {terminal_text(text)}"
