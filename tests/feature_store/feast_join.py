"""Feast's own historical join of one view, in Feast's environment: `python feast_join.py FOLDER`.

In the folder are `rows.parquet` and `levels.parquet`; `joined.parquet` is written. Nothing of ours is imported here.
"""

import sys
from datetime import timedelta
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureView, Field, FileSource
from feast.types import Float64, Int64, String
from feast.value_type import ValueType
from feast_repository import open_store


def main(folder: Path, minutes: int) -> None:
    store = open_store(folder)
    number = Entity(name="number", join_keys=["number"], value_type=ValueType.INT64)
    part = Entity(name="part", join_keys=["part"], value_type=ValueType.STRING)
    source = FileSource(
        path=str(folder / "levels.parquet"), timestamp_field="measured", created_timestamp_column="written"
    )
    view = FeatureView(
        name="levels", entities=[number, part], ttl=timedelta(minutes=minutes), source=source,
        schema=[
            Field(name="number", dtype=Int64), Field(name="part", dtype=String), Field(name="level", dtype=Float64),
            Field(name="flow", dtype=Int64),
        ],
    )  # fmt: skip
    store.apply([number, part, view])
    rows = pd.read_parquet(folder / "rows.parquet").rename(columns={"asked": "event_timestamp"})
    joined = store.get_historical_features(
        rows, ["levels:level", "levels:flow"], filter_by_created_timestamp=True
    ).to_df()  # fmt: skip
    joined.sort_values("row").to_parquet(folder / "joined.parquet")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
