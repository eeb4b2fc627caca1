"""Feast's own feature server over people and classes, in Feast's environment: `python feast_serve.py FOLDER PORT`.

Nothing of ours is imported here.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureView, Field, FileSource
from feast.types import Bool, Float64, Int64, String
from feast.value_type import ValueType
from feast_repository import open_store


def main(folder: Path, port: int) -> None:
    store = open_store(folder)
    now = datetime.now(UTC)
    tables = {
        "people": pd.DataFrame(
            {
                "name": ["Ann", "Nil", "Old"],
                "years": [40.0, None, 70.0],
                "alone": [True, False, True],
                "at": [now, now, now - timedelta(hours=2)],
            }
        ),
        "classes": pd.DataFrame({"class": [1, 3], "harbour": ["C", "Q"], "at": [now, now]}),
    }
    kinds = {"name": String, "class": Int64, "years": Float64, "alone": Bool, "harbour": String}
    for name, table in tables.items():
        key = table.columns[0]
        of_entity = ValueType.STRING if kinds[key] == String else ValueType.INT64
        table.to_parquet(folder / f"{name}.parquet")
        entity = Entity(name=name, join_keys=[key], value_type=of_entity)
        view = FeatureView(
            name=name, entities=[entity], ttl=timedelta(days=1),
            source=FileSource(path=str(folder / f"{name}.parquet"), timestamp_field="at"),
            schema=[Field(name=column, dtype=kinds[column]) for column in table.columns[:-1]],
        )  # fmt: skip
        store.apply([entity, view])
        store.write_to_online_store(name, table)
    # By default its one worker ends after 1,000 requests, and nobody answers until the next one has loaded.
    store.serve(host="127.0.0.1", port=port, type_="http", no_access_log=True, max_requests=0, max_requests_jitter=0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
