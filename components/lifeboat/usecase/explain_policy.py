"""How a use case's answers are explained: declared by it, kept in its bundles, obeyed by whoever explains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from lifeboat.config.errors import UseCaseError

# Of the reference, as many rows as alibi and shap advise for a background; an answer costs in proportion.
BACKGROUND = 100
MOST_BACKGROUND = 1_000


@dataclass(frozen=True)
class ExplainPolicy:
    """Beside what an answer is held, and which columns are told apart.

    Args:
        background: how many rows of the drift reference.
        groups: columns that count as one, such as a text and its length; the others are told apart.
    """

    background: int = BACKGROUND
    groups: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        if type(self.background) is not int or not 1 <= self.background <= MOST_BACKGROUND:
            raise UseCaseError(f"explain: background is {self.background!r}, it must be 1 to {MOST_BACKGROUND:,} rows")

    def players(self, names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """The columns of each player, in the order of their first.

        Args:
            names: of the inputs.

        Raises:
            UseCaseError: a group names a column that there is not, or one is in two groups.
        """
        known: dict[str, tuple[str, ...]] = {}
        for group in self.groups:
            for name in group:
                if name not in names:
                    raise UseCaseError(f"groups: there is no column {name!r}; there are {', '.join(names)}")
                if name in known:
                    raise UseCaseError(f"groups: column {name!r} is in two of them")
                known[name] = tuple(group)
        return tuple(dict.fromkeys(known.get(name, (name,)) for name in names))

    def to_manifest(self) -> dict[str, Any]:
        """What a bundle says of it: what differs from the defaults, so that it does not change older digests."""
        groups = [list(group) for group in self.groups]
        said = {"background": self.background, "groups": groups}
        return {name: value for name, value in said.items() if value not in (BACKGROUND, [])}

    @classmethod
    def of_manifest(cls, manifest: dict[str, Any]) -> Self:
        """As a bundle's manifest says it under `explain`; raises UseCaseError."""
        said = manifest.get("explain", {})
        return cls(said.get("background", BACKGROUND), tuple(tuple(group) for group in said.get("groups", ())))


def player_names(players: Sequence[Sequence[str]]) -> list[str]:
    """What players are called: as their column is, or as those of a group are."""
    return [" + ".join(part) for part in players]


# Of a use case that says nothing of it.
USUAL = ExplainPolicy()
