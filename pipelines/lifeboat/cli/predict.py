"""`lifeboat predict`, `lifeboat explain` and `lifeboat score`: asking the champion."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from lifeboat.config.errors import DataError, DeployError
from lifeboat.config.home_access import home_token
from lifeboat.config.settings import Settings
from lifeboat.data.csv.dialect import Csv
from lifeboat.deploy.deployed import read_deployed
from lifeboat.supervisor.control import find_supervisor
from lifeboat.usecase.column import FALSE_TEXTS, TRUE_TEXTS
from lifeboat.usecase.schema import Column, Schema
from lifeboat.usecase.usecase import load_usecase


def predict(options: argparse.Namespace, settings: Settings) -> int:
    """Asks the live endpoint for one row and prints its answer as JSON."""
    from lifeboat.deploy.probe import ask

    usecase = load_usecase(options.usecase)
    row = _row(options, usecase.schema)
    url = options.url or _endpoint(usecase.name, settings)
    if url is None:
        was = read_deployed(settings.serving_state(usecase.name))
        verb = "serve" if was else "run"
        raise DeployError(
            f"no model server of {usecase.name} runs; start it with: lifeboat {verb} --usecase {options.usecase}"
        )
    [numbers], tags = ask(url, [row], token=settings.token if options.url else home_token(settings))
    answer = dict(zip(usecase.task.names, numbers, strict=True))
    print(json.dumps({**answer, **tags}, ensure_ascii=False))
    return 0


def explain(options: argparse.Namespace, settings: Settings) -> int:
    """Shows what each column adds to the answer to one row, by the champion, a bundle's directory or an endpoint."""
    from rich.console import Console

    from lifeboat.cli.bars import bars

    row, found = _reasons(options, settings)
    entries = found.drop_columns(["row"]).to_pylist()
    if options.as_json:
        print(json.dumps(entries, ensure_ascii=False))
        return 0
    console = Console()
    for output in dict.fromkeys(entry["output"] for entry in entries):
        console.print(bars([entry for entry in entries if entry["output"] == output], row))
    return 0


def _reasons(options: argparse.Namespace, settings: Settings) -> tuple[dict[str, Any], Any]:
    """The row, and its reasons as a table."""
    import pyarrow as pa

    from lifeboat.api.asking import Client, Model
    from lifeboat.model.bundle import open_bundle

    if options.url:
        for flag in ("bundle", "group"):
            if getattr(options, flag):
                raise DataError(f"--{flag} is not for an endpoint, which has its own")
        row = _row(options, load_usecase(options.usecase).schema)
        return row, Client(options.url, token=settings.token).explain(pa.Table.from_pylist([row]), options.output)
    bundle = open_bundle(options.bundle) if options.bundle else _champion(options, settings)
    row = _row(options, bundle.schema)
    return row, Model(bundle).explain(pa.Table.from_pylist([row]), options.output, options.group)


def score(options: argparse.Namespace, settings: Settings) -> int:
    """Scores a file with the champion, or with the bundle of a directory."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from lifeboat.model.bundle import open_bundle
    from lifeboat.pipeline.batch_scoring import score as score_file

    bundle = open_bundle(options.bundle) if options.bundle else _champion(options, settings)
    usecase = load_usecase(options.usecase)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(f"scoring with {bundle.usecase} {bundle.digest[:12]}", total=None)
        summary = score_file(
            bundle,
            Path(options.source),
            Path(options.target),
            on_error=options.on_error,
            csv=usecase.csv if usecase.name == bundle.usecase else Csv(),
            assume=lambda sentence: print(f"assumed: {sentence}", file=sys.stderr),
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    rejected = f", {summary.skipped:,} rejected" if summary.skipped else ""
    print(f"scored {summary.rows:,} rows in {summary.seconds:.1f} s{rejected}: {options.target}")
    return 0


def _endpoint(name: str, settings: Settings) -> str | None:
    """Where a model answers; None where no supervisor runs, or runs without one."""
    control = find_supervisor(settings.serving_state(name))
    if control is None:
        return None
    with control:
        found = control.status()
    return found.url if found.serving else None


def _champion(options: argparse.Namespace, settings: Settings) -> Any:
    from lifeboat.registry.registry import Registry

    name = load_usecase(options.usecase).name
    registry = Registry(settings)
    return registry.bundle(registry.get(name, usecase=options.usecase))


def _row(options: argparse.Namespace, schema: Schema) -> dict[str, Any]:
    """The row of the flags, checked before anything is sent; what a feature store may have stays left out."""
    if options.json is not None and options.values:
        raise DataError("give the row as COLUMN=VALUE or as --json, not both")
    row = _flags_row(options.values, schema) if options.json is None else _json_row(options.json)
    stored = [column.name for column in schema.columns if column.source]
    try:
        schema.parse_row({**dict.fromkeys(stored), **row})
    except ValueError as error:
        raise DataError(str(error)) from error
    keys = [key.name for key in schema.keys if stored and key.name in row]
    return {name: row.get(name) for name in (*schema.names, *keys) if name in row or name not in stored}


def _json_row(text: str) -> dict[str, Any]:
    try:
        row = json.loads(sys.stdin.read() if text == "-" else text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"--json is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise DataError("--json is not an object of column names and values")
    return row


def _flags_row(texts: list[str], schema: Schema) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, value in (_pair(text, schema) for text in texts):
        if name in row:
            raise DataError(f"column {name}: given twice")
        row[name] = value
    return row


def _pair(text: str, schema: Schema) -> tuple[str, Any]:
    # A column's name may hold the sign, too: the longest that is one.
    known = [name for name in schema.known if text.startswith(f"{name}=")]
    name, sign, value = text.partition("=")
    if known:
        name = max(known, key=len)
        value = text.removeprefix(f"{name}=")
    elif not sign:
        raise DataError(f"{text!r} is not COLUMN=VALUE; the columns are {', '.join(schema.names)}")
    column = schema.known.get(name)
    return name, _value(value, column) if column else value


def _value(text: str, column: Column) -> Any:
    if text == "":
        return None
    if column.is_text:
        return text
    if column.kind == "boolean" and text.lower() in (*TRUE_TEXTS, *FALSE_TEXTS):
        return text.lower() in TRUE_TEXTS
    try:
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    except ValueError:
        return text  # the schema refuses it, in its own words
