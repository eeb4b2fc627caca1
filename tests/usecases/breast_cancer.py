"""A second use case: which breast mass is benign, by 30 measures of its cell nuclei (scikit-learn's table).

No group, no id, no text, no category: the platform must get along without. `write_data` makes the table.
"""

from pathlib import Path

from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lifeboat.usecase.gates import AtLeast, BeatsBaseline, BeatsChampion
from lifeboat.usecase.schema import BinaryLabel, Column, Schema
from lifeboat.usecase.transformers import Floats32
from lifeboat.usecase.usecase import Candidate, Slice, Split, UseCase

MEASURES = ("radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity")
MEASURES += ("concave points", "symmetry", "fractal dimension")
NAMES = tuple(name for form in ("mean {}", "{} error", "worst {}") for name in map(form.format, MEASURES))

USECASE = UseCase(
    name="breast-cancer",
    title="Whether a breast mass is benign",
    schema=Schema(
        columns=tuple(Column(name, "float", minimum=0, maximum=10_000) for name in NAMES),
        label=BinaryLabel("benign", classes=("malignant", "benign")),
    ),
    data="breast_cancer.csv",
    features=Floats32,
    candidates=(
        Candidate("logistic regression", make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))),
        Candidate("gradient boosting", HistGradientBoostingClassifier(max_iter=30, early_stopping=False)),
    ),
    gates=(AtLeast("roc_auc", 0.95), BeatsBaseline("log_loss"), BeatsChampion("log_loss")),
    baseline=(),
    slices=(Slice("mean radius", edges=(12, 16)),),
    split=Split(test=0.25, folds=3),
)


def write_data(path: Path) -> Path:
    """Writes the 569 rows as CSV, or Parquet if the path says so."""
    table = load_breast_cancer(as_frame=True)
    frame = table.data.assign(benign=table.target)
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False)
    return path
