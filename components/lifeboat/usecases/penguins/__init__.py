"""Which species a penguin is: 344 birds of three species, measured on the Palmer Archipelago in 2007 to 2009.

The table is that of the package palmerpenguins (Horst, Hill and Gorman, 2020), in the public domain by CC0.
"""

from pathlib import Path

from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lifeboat.usecase.gates import AtLeast, BeatsBaseline, BeatsChampion, NoSliceWorse
from lifeboat.usecase.schema import ClassLabel, Column, Schema
from lifeboat.usecase.transformers import CategoryFlags
from lifeboat.usecase.usecase import Candidate, Drift, Slice, Split, UseCase

ISLANDS = ("Biscoe", "Dream", "Torgersen")
SIZES = ("Culmen Length (mm)", "Culmen Depth (mm)", "Flipper Length (mm)", "Body Mass (g)")
# An emperor penguin, the largest of all, lies within.
LIMITS = ((20, 140, 39.1), (5, 50, 18.7), (100, 500, 181), (1_000, 45_000, 3_750))

SCHEMA = Schema(
    columns=(
        *(
            Column(name, "float", nullable=True, minimum=low, maximum=high, example=example)
            for name, (low, high, example) in zip(SIZES, LIMITS, strict=True)
        ),
        Column("Island", "string", categories=ISLANDS, description="Where it nests", example="Torgersen"),
        # One bird's sex is written as a point.
        Column("Sex", "string", nullable=True, categories=("FEMALE", "MALE"), na=("NA", "."), example="MALE"),
    ),
    label=ClassLabel(
        "Species",
        (
            "Adelie Penguin (Pygoscelis adeliae)",
            "Chinstrap penguin (Pygoscelis antarctica)",
            "Gentoo penguin (Pygoscelis papua)",
        ),
    ),
    ignore=(
        "studyName", "Sample Number", "Region", "Stage", "Individual ID", "Clutch Completion", "Date Egg",
        "Delta 15 N (o/oo)", "Delta 13 C (o/oo)", "Comments",
    ),
)  # fmt: skip


def make_features() -> BaseEstimator:
    """An unfitted transformer from a raw penguin to float32 [n, 8]."""
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    islands, sex = CategoryFlags(ISLANDS), CategoryFlags(("FEMALE",))
    return ColumnTransformer([("sizes", numbers, list(SIZES)), ("island", islands, ["Island"]), ("sex", sex, ["Sex"])])


USECASE = UseCase(
    name="penguins",
    title="Species of a penguin of the Palmer Archipelago",
    schema=SCHEMA,
    data=Path(__file__).parent / "data" / "penguins.csv",
    features=make_features,
    candidates=(
        Candidate("logistic regression", LogisticRegression(max_iter=1_000), {"C": (0.1, 1.0, 10.0)}),
        Candidate("random forest", RandomForestClassifier(n_estimators=50, max_depth=5, random_state=0)),
    ),
    gates=(AtLeast("accuracy", 0.9), BeatsBaseline("log_loss"), BeatsChampion("log_loss"), NoSliceWorse()),
    baseline=("Island",),
    slices=(Slice("Island"), Slice("Sex")),
    split=Split(test=0.25, folds=5, salt="penguins"),
    drift=Drift(window=100, minimum=50, accuracy=0.85),
)
