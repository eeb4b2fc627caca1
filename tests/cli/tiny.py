"""The use case of the model server's tiny bundle; nothing of it is trained."""

from components.core.gates import AtLeast
from components.core.usecase import Candidate, UseCase
from tests.serving.world import TINY

USECASE = UseCase(
    name="tiny",
    title="Who survives in the tests",
    schema=TINY,
    data="nowhere.csv",
    features=lambda: None,  # type: ignore[arg-type,return-value]
    candidates=(Candidate("none", None),),  # type: ignore[arg-type]
    gates=(AtLeast("roc_auc", 0.5),),
    baseline=(),
)
