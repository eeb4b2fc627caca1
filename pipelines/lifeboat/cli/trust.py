"""`lifeboat features accept`, `reject` and `conflicts`: whose word the next runs take, decided by a person."""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from lifeboat.config.errors import SettingsError
from lifeboat.config.settings import Settings
from lifeboat.config.sources import TABLE
from lifeboat.data.labelled.labelled_rows import load_labelled
from lifeboat.data.labelled.trust import Ruling, Settlement, write_conflicts, write_records
from lifeboat.data.timestamps import format_timestamp, show_seconds
from lifeboat.preprocess.conflicts import Conflict, find_conflicts
from lifeboat.registry.storage import open_storage
from lifeboat.registry.versions import one_line, whoever
from lifeboat.system.markup import terminal_text
from lifeboat.system.progress import quiet
from lifeboat.usecase.usecase import load_usecase

# Conflicts shown to a person; --json shows all.
MOST = 50
ALL = "all"


def accept(options: argparse.Namespace, settings: Settings) -> int:
    """Lets a source's rows teach from now on: those there are, not those still to come."""
    return _rule(options, settings, accept=True)


def reject(options: argparse.Namespace, settings: Settings) -> int:
    """Takes a source's rows out of every later run, those still to come as well."""
    return _rule(options, settings, accept=False)


def conflicts(options: argparse.Namespace, settings: Settings) -> int:
    """Shows truths that contradict the table or one another, or settles them."""
    if bool(options.settle) != bool(options.keep):
        raise SettingsError("--settle and --keep belong together: which row, and whose word holds")
    usecase, storage = load_usecase(options.usecase), open_storage(settings.bundle_store, settings.s3)
    table = options.data or str(usecase.data)

    def find() -> list[Conflict]:
        return find_conflicts(
            usecase, table, storage, trusted=settings.trusted, pseudonyms=settings.pseudonyms, s3=settings.s3, say=quiet
        )

    found = find()
    if options.settle:
        chosen = _chosen(found, options.settle, options.keep)
        now, by, because = time.time(), whoever(), one_line(options.because)
        rows = dict.fromkeys(one.row for one in chosen)
        write_records(storage, usecase.name, [Settlement(row, options.keep, now, by, because) for row in rows])
        print(f"settled {len(rows):,} of {len({one.row for one in found}):,} rows: the word of {options.keep} holds")
        found = find()
    write_conflicts(storage, usecase.name, len(found))
    print(json.dumps([asdict(one) for one in found], ensure_ascii=False, indent=1) if options.json else _shown(found))
    return 0


def _rule(options: argparse.Namespace, settings: Settings, *, accept: bool) -> int:
    usecase, storage = load_usecase(options.usecase), open_storage(settings.bundle_store, settings.s3)
    before = load_labelled(storage, usecase.name, usecase.schema, trusted=settings.trusted)
    known = Counter(before.sources)
    for sources in before.apart.values():
        known += Counter(sources)
    if options.source not in known:
        there = ", ".join(f"{name} ({rows:,})" for name, rows in known.most_common(10)) or "none"
        raise SettingsError(f"no labelled row of {usecase.name} is by {options.source!r}; sources: {there}")
    since = options.since.timestamp() if options.since else 0.0
    ruling = Ruling(options.source, accept, time.time(), since, whoever(), one_line(options.because))
    write_records(storage, usecase.name, [ruling])
    after = load_labelled(storage, usecase.name, usecase.schema, trusted=settings.trusted)
    teach, word = after.sources.get(options.source, 0), "accepted" if accept else "rejected"
    span = f" since {format_timestamp(options.since)}" if options.since else ""
    print(f"{word} {options.source}{span}: {teach:,} of its {known[options.source]:,} labelled rows teach from now on")
    return 0


def _chosen(found: Sequence[Conflict], row: str, keep: str) -> list[Conflict]:
    """The conflicts of a row in which somebody's word can hold."""
    chosen = [one for one in found if row in (ALL, one.row, terminal_text(one.row))]
    if not chosen:
        raise SettingsError(f"there is no conflict about {row!r}; without --settle all are shown")
    sides = {one.row: {one.source, one.stands_by} for one in chosen}
    without = [name for name, each in sides.items() if keep not in each]
    if without and row != ALL:
        raise SettingsError(f"{keep!r} says nothing about {row}: {' or '.join(sorted(sides[row]))} may hold")
    chosen = [one for one in chosen if one.row not in without]
    curated = [one.row for one in chosen if one.stands_by == TABLE and keep != TABLE]
    if curated:
        raise SettingsError(
            f"{curated[0]} stands in the table, which no truth replaces: correct the table, or --keep {TABLE}"
        )
    if not chosen:
        raise SettingsError(f"{keep!r} says nothing about any row in conflict")
    return chosen


def _shown(found: Sequence[Conflict]) -> str:
    if not found:
        return "no conflicts"
    lines = [f"{len(found):,} truths contradict the table or an earlier one of another source, and are kept apart:"]
    lines += [
        f"  {terminal_text(one.row)}: {one.stands_by} says {one.stands} and holds, "
        f"{one.source} {one.said} ({show_seconds(one.at)})"
        for one in found[:MOST]
    ]
    if len(found) > MOST:
        lines.append(f"  ... {len(found) - MOST:,} more; --json shows all")
    return "\n".join([*lines, f"Settle with --settle ROW (or {ALL}) --keep {TABLE} or a source's name."])
