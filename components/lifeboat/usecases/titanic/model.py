"""Features and models: what turns a raw passenger into a probability."""

from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lifeboat.usecase.transformers import (
    CategoryFlags,
    Floats32,
    MissingFlag,
    Quotient,
    RegexFlags,
    RowSum,
    TextBetween,
)
from lifeboat.usecase.usecase import Candidate

# Rarer titles (Dr, Rev, Col and so on) are told apart by no flag at all.
TITLES = ("Mr", "Mrs", "Miss", "Master")
# A cabin's letter is its deck; the boats hung above deck A. Some entries name several cabins: the first one counts.
DECKS = {"deck A to C": "[ABCT].*", "deck D or E": "[DE].*", "deck F or G": "[FG].*"}


def make_features() -> BaseEstimator:
    """An unfitted transformer from a raw passenger to float32 [n, 21]."""
    title = make_pipeline(TextBetween(", ", "."), CategoryFlags(TITLES))
    return ColumnTransformer(
        [
            ("numbers", Floats32(), ["Pclass", "Age", "SibSp", "Parch", "Fare"]),
            ("missing numbers", MissingFlag(), ["Age", "Fare"]),
            ("missing cabin", MissingFlag(), ["Cabin"]),
            ("family size", RowSum(offset=1), ["SibSp", "Parch"]),
            ("fare per head", Quotient(offset=1), ["Fare", "SibSp", "Parch"]),
            ("title", title, ["Name"]),
            ("sex", CategoryFlags(("female",)), ["Sex"]),
            ("deck", RegexFlags(DECKS), ["Cabin"]),
            ("port", CategoryFlags(("C", "Q", "S")), ["Embarked"]),
        ]
    )


CANDIDATES = (
    Candidate(
        "logistic regression",
        make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression(max_iter=1000)),
        {"logisticregression__C": (0.03, 0.3, 3.0)},
    ),
    Candidate(
        "random forest",
        make_pipeline(
            SimpleImputer(strategy="median"),
            # The depth bounds the graph's size, however many rows there are.
            RandomForestClassifier(n_estimators=100, min_samples_leaf=3, n_jobs=-1, random_state=0),
        ),
        {"randomforestclassifier__max_depth": (5, 8)},
    ),
    Candidate(
        "gradient boosting",
        HistGradientBoostingClassifier(max_iter=80, early_stopping=False, random_state=0),
        {"learning_rate": (0.05, 0.1), "max_leaf_nodes": (6, 12)},
    ),
)
