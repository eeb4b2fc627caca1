"""The use case of the model server's tiny bundle; nothing of it is trained."""

from lifeboat.usecase.gates import AtLeast
from lifeboat.usecase.usecase import Candidate, UseCase
from tests.server.world import TINY

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
