"""The reasons of answers as the protocols say them: how they are asked for, and how they stand in an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from lifeboat.http.errors import bad
from lifeboat.usecase.explain_policy import player_names

# The parameter of the Open Inference Protocol and the tag of Seldon's by which a prediction is asked for its reasons.
EXPLAIN = "explain"
PARAMETER = f"the parameter {EXPLAIN}"
Floats = NDArray[np.float64]


class OutputTensor(NamedTuple):
    """An output of the Open Inference Protocol.

    Args:
        name, datatype, shape: in its words.
        data: of a tensor of BYTES the texts.
    """

    name: str
    datatype: str
    shape: list[int]
    data: Floats | list[str]


@dataclass(frozen=True)
class Explained:
    """Of some rows, as `lifeboat.model.explaining` has it.

    Args:
        players: the columns of each player, [players].
        outputs: names of the answer's numbers that are explained, [width].
        answers: these numbers, [n, width].
        base: their mean over the background, [width].
        contributions: what each player adds, [n, players, width]; with the base they sum to the answers.
        errors: standard error of each; None where every coalition was counted.
        background: how many rows it is beside.
        model_rows: how many rows the model was asked for each one, on average.
    """

    players: Sequence[Sequence[str]]
    outputs: list[str]
    answers: Floats
    base: Floats
    contributions: Floats
    errors: Floats | None
    background: int
    model_rows: float

    @classmethod
    def read(cls, body: bytes) -> Explained:
        """From what the explainer says; raises ValueError, KeyError or TypeError for anything else."""
        said = orjson.loads(body)
        names = ("answers", "base", "contributions", "errors")
        return cls(**{**said, **{name: np.asarray(said[name], np.float64) for name in names if said[name] is not None}})

    def write(self) -> bytes:
        """As `read` takes it."""
        return orjson.dumps(self, option=orjson.OPT_SERIALIZE_NUMPY)

    @property
    def columns(self) -> list[str]:
        """The name of each player."""
        return player_names(self.players)

    @property
    def groups(self) -> dict[str, Sequence[str]]:
        """The columns of each player that has several, by its name."""
        return {name: part for name, part in zip(self.columns, self.players, strict=True) if len(part) > 1}

    def tensors(self) -> list[OutputTensor]:
        """As outputs of the Open Inference Protocol."""
        rows, players, width = self.contributions.shape
        found = [
            OutputTensor("explanation_columns", "BYTES", [players], self.columns),
            OutputTensor("explanation_outputs", "BYTES", [width], self.outputs),
            OutputTensor("explanation_answers", "FP64", [rows, width], self.answers),
            OutputTensor("explanation_base", "FP64", [width], self.base),
            OutputTensor("explanation_contributions", "FP64", [rows, players, width], self.contributions),
        ]
        if self.errors is not None:
            found.append(OutputTensor("explanation_errors", "FP64", [rows, players, width], self.errors))
        return found

    @property
    def parameters(self) -> dict[str, float]:
        """Of such an answer: beside how many rows it is, and how many the model was asked for each."""
        return {"explanation_background": self.background, "explanation_model_rows": self.model_rows}

    def to_document(self) -> dict[str, Any]:
        """For orjson, with its numbers as arrays."""
        groups = {"groups": self.groups} if self.groups else {}
        errors = {} if self.errors is None else {"errors": self.errors}
        return {
            "columns": self.columns, **groups, "outputs": self.outputs, "answers": self.answers, "base": self.base,
            "contributions": self.contributions, **errors, "background": self.background, "model_rows": self.model_rows,
        }  # fmt: skip


def wanted(said: Any, where: str) -> list[str] | bool:
    """Whether reasons are asked for, and of which numbers of the answer: their names, or True for the usual ones.

    Args:
        said: the parameter or tag: true, false, a name or a list of names; None for none.
        where: for messages.

    Raises:
        RequestError: 400; it is something else.
    """
    if said is None or type(said) is bool:
        return bool(said)
    names = [said] if type(said) is str else said
    if type(names) is not list or not names or not all(type(name) is str for name in names):
        raise bad(f"{where} is none of true, false, a name of the answer's numbers and a list of such names")
    return names
