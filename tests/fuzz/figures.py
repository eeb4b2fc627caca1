"""What a run has come to: counts by kind and status, findings, time and memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.http.framing import Answer

from .case import KINDS, Case
from .processes import Held

MIB = 1 << 20


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Args:
        index: of the case; -1 where it is of the whole run.
        problem: what.
        case: which was sent.
    """

    index: int
    problem: str
    case: Case | None = None

    def describe(self, seed: str) -> str:
        """For people: what, the bytes, and how to have it again."""
        if self.case is None:
            return f"FINDING at the end, seed {seed}: {self.problem}\n"
        return (
            f"FINDING seed {seed}, index {self.index}, {self.case.kind} ({self.case.form}), "
            f"{self.case.server}: {self.problem}\nsent: {self.case.content!r}\n"
            f"again: python -m tests.fuzz --seed={seed} --only={self.index}\n"
        )


@dataclass
class Figures:
    """Counts, while it runs and afterwards.

    Args:
        seed: of the run.
        first: index.
    """

    seed: str
    first: int = 0
    cases: Counter[str] = field(default_factory=Counter)
    forms: Counter[str] = field(default_factory=Counter)
    classes: Counter[tuple[str, int]] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    seconds: float = 0.0
    # Acknowledged by the detector, and what it must show of it.
    accepted: int = 0
    refused: int = 0
    rows: int = 0
    before: dict[str, Held] = field(default_factory=dict)
    warm: dict[str, Held] = field(default_factory=dict)
    after: dict[str, Held] = field(default_factory=dict)

    @property
    def requests(self) -> int:
        """Cases that were answered."""
        return self.cases.total()

    def count(self, case: Case, answers: Sequence[Answer]) -> None:
        """Counts a case and its answers."""
        self.cases[case.kind] += 1
        self.forms[f"{case.kind}: {case.form}"] += 1
        for answer in answers:
            self.classes[case.kind, answer.status // 100] += 1
            self.statuses[answer.status] += 1

    @property
    def predicted(self) -> float:
        """The share of predictions that were answered with 200."""
        kinds = ("seldon", "v2")
        asked = sum(self.classes[kind, status] for kind in kinds for status in (2, 4, 5))
        return sum(self.classes[kind, 2] for kind in kinds) / max(1, asked)

    def table(self) -> str:
        """Kind, cases and answers by class of status."""
        lines = [f"{'kind':<10}{'requests':>10}{'100':>9}{'2xx':>10}{'4xx':>10}{'501, 505':>10}"]
        for kind in KINDS:
            counts = [self.classes[kind, number] for number in (1, 2, 4, 5)]
            lines.append(
                f"{kind:<10}{self.cases[kind]:>10,}{counts[0]:>9,}{counts[1]:>10,}{counts[2]:>10,}{counts[3]:>10,}"
            )
        return "\n".join(lines)

    def summary(self) -> str:
        """All of it."""
        known = ", ".join(f"{status} {number:,}" for status, number in sorted(self.statuses.items()))
        share = f"{self.predicted:.0%} of the predictions were answered with 200"
        events = f"{self.accepted:,} events were acknowledged, {self.rows:,} rows of intact ones became rows of windows"
        lines = [self.table(), f"statuses: {known}", f"{share}; {events}"]
        for name, held in self.after.items():
            warm, before = self.warm.get(name, held), self.before.get(name, held)
            lines.append(
                f"{name}: memory (PSS of all its processes) {before.pss / MIB:.1f} MB at the start, "
                f"{warm.pss / MIB:.1f} warm, {held.pss / MIB:.1f} at the end; RSS {warm.rss / MIB:.1f} and "
                f"{held.rss / MIB:.1f} MB; descriptors {before.descriptors} and {held.descriptors}"
            )
        lines.append(
            f"{self.requests:,} requests in {self.seconds:.0f} s ({self.requests / max(self.seconds, 1e-9):,.0f} "
            f"a second), seed {self.seed}, {len(self.findings)} findings"
        )
        return "\n".join(lines) + "\n"
