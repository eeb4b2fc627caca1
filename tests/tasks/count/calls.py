"""A use case of it: how many calls a help desk gets in an hour."""

from __future__ import annotations

from datetime import timedelta

from sklearn.compose import ColumnTransformer
from sklearn.linear_model import PoissonRegressor

from lifeboat.usecase.gates import AtMost, BeatsBaseline, BeatsChampion
from lifeboat.usecase.schema import Column, Schema
from lifeboat.usecase.transformers import CategoryFlags, Cycle, Floats32
from lifeboat.usecase.usecase import Candidate, Drift, Slice, Split, UseCase
from tests.tasks.count.task import CountLabel

ZONE = "Europe/Berlin"
DAYS = ("weekday", "weekend")


def make_features() -> ColumnTransformer:
    """The temperature, whether it is a weekend, and the hour as a place on the clock."""
    parts = [
        ("cold", Floats32(), ["cold"]),
        ("day", CategoryFlags(DAYS), ["day"]),
        ("hour", Cycle("day", ZONE), ["at"]),
    ]
    return ColumnTransformer(parts)


USECASE = UseCase(
    name="calls", title="Calls in an hour", data="calls.csv",
    schema=Schema((Column("cold", "float", minimum=-5, maximum=5), Column("day", "string", categories=DAYS),
                   Column("at", "datetime", zone=ZONE)), CountLabel("calls")),
    split=Split(by="time", column="at", test=0.25, gap=timedelta(hours=2)),
    features=make_features, candidates=(Candidate("poisson", PoissonRegressor(), {"alpha": (0.0, 0.1)}),),
    gates=(AtMost("poisson_deviance", 1.5), BeatsBaseline("poisson_deviance"), BeatsChampion("poisson_deviance")),
    baseline=("day",), slices=(Slice("day"),), drift=Drift(window=100, minimum=50, error=2.0),
)  # fmt: skip
