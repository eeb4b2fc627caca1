"""The decision: what an answer of the model is taken to say, the class of a row, or its value.

Batch scoring, evaluation, the model server's protocols and metrics, the detector's live figures and the demo all decide
by a bundle's decision, so that one row is called the same everywhere. It needs numpy alone, so that the model server
can use it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Self

from numpy.typing import NDArray

from lifeboat.config.errors import BundleError
from lifeboat.usecase.label import Label


class Decision(ABC):
    """What answers are taken to say; each kind is a dataclass, whose fields a bundle's manifest holds.

    Attributes:
        rule: why so, in words.
    """

    rule: str

    @abstractmethod
    def call(self, answers: NDArray[Any]) -> NDArray[Any]:
        """The label that each row is called, as `y` has it, [n].

        Args:
            answers: float32, or numbers that were written from float32, [n, width].
        """

    def explain(self, label: Label) -> str:  # noqa: ARG002  # others name a class
        """What is made of an answer, and why."""
        return self.rule

    def to_manifest(self) -> dict[str, Any]:
        """What a bundle's manifest holds under `decision`."""
        found: dict[str, Any] = asdict(self)  # type: ignore[call-overload]  # each kind is a dataclass
        return found

    @classmethod
    def of_manifest(cls, manifest: Mapping[str, Any]) -> Self:
        """The decision of a bundle's manifest; the usual one where it says none, as one of format 1 does.

        Raises:
            BundleError: it is none of this kind.
        """
        given = manifest.get("decision", {})
        try:
            return cls(**given)
        except (TypeError, ValueError) as error:
            kind = " and ".join(f"a {field.name}" for field in fields(cls))  # type: ignore[arg-type]  # as above
            raise BundleError(f"bundle.json: decision {given!r} is not {kind}: {error}") from error
