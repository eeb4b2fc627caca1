"""How soon a shift of the Titanic's passengers raises an alarm; it runs in the drift detector's environment.

Each stream has a reference and windows of its own. In the first table every row, of reference and stream alike, is an
independent draw from the 891 passengers: they are the population, so 'none' has no drift by construction, and a row
that both sides hold is no more than two people with the same columns. In the second no passenger is on both sides: each
stream splits the table at random, one half is its reference as it stands (445 rows), and each window is drawn without
replacement from the other half. Its first window is a fair test; later ones share that half's chance difference, so
alarms without drift are more frequent than for fresh rows, as they would be for any stream from so small a world.

The score is a fixed formula in sex, class, age and fare in place of a model, so it moves with them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lifeboat.detector.drift_test.drift_test import DriftTest
from lifeboat.detector.windows.alarm import alarm, alarm_rate
from tests.drift_test.world import PASSENGERS, Rows, raw, resampled, score, table_of, take, titanic

STREAMS, REFERENCE, ROWS = 100, 1000, 200
ALARMS, OF, P_VALUE = 2, 3, 0.05
# A stream without an alarm after so many windows counts as that long.
LONGEST = 40
NONE = "none"


def _older(rows: Rows) -> Rows:
    return {**rows, "Age": rows["Age"] + 5}


def _dearer(rows: Rows) -> Rows:
    return {**rows, "Fare": rows["Fare"] * 2}


def _swapped(rows: Rows) -> Rows:
    return {**rows, "Sex": np.where(rows["Sex"] == "male", "female", "male").astype(object)}


def _no_cabins(rows: Rows) -> Rows:
    return {**rows, "Cabin": np.full(len(rows["Cabin"]), None, dtype=object)}


SHIFTS: dict[str, Callable[[Rows], Rows]] = {
    "ages + 5 years": _older,
    "fares doubled": _dearer,
    "sexes swapped": _swapped,
    "cabins missing": _no_cabins,
}


@dataclass(frozen=True)
class Stream:
    """A judge with its reference, and an endless supply of windows without drift."""

    judge: DriftTest
    windows: Iterator[Rows]

    def verdicts(self, shift: Callable[[Rows], Rows] | None) -> Iterator[bool]:
        """Of one window after the other, shifted, with the score that follows from the shifted row."""
        for window in self.windows:
            moved = shift(window) if shift else window
            yield self.judge.run(*raw({**moved, "__score": score(moved)}))["drift"]


def fresh(seed: int) -> Stream:
    """All rows are independent draws from the table."""
    random, draw = np.random.default_rng([1, seed]), resampled(titanic())
    judge = DriftTest(PASSENGERS, table_of(draw(random, REFERENCE)), P_VALUE)
    return Stream(judge, (draw(random, ROWS) for _ in iter(int, 1)))


def halves(seed: int) -> Stream:
    """Reference and windows share no passenger."""
    random, rows = np.random.default_rng([2, seed]), titanic()
    order = random.permutation(len(rows["Age"]))
    known, other = np.split(order, [len(order) // 2])
    judge = DriftTest(PASSENGERS, table_of(take(rows, known)), P_VALUE)
    return Stream(judge, (take(rows, random.choice(other, ROWS, replace=False)) for _ in iter(int, 1)))


def delay(verdicts: Iterator[bool]) -> int:
    """Windows until the first alarm."""
    seen: list[bool] = []
    for drifted in verdicts:
        seen.append(drifted)
        if alarm(seen, ALARMS, OF) or len(seen) == LONGEST:
            break
    return len(seen)


def table(make: Callable[[int], Stream], streams: int, windows: int) -> str:
    """The Markdown table of one way to draw streams."""
    lines = [
        "| shift | windows to the alarm, median | 90 % | rows, median | 90 % | alarms per 1,000 windows |",
        "|---|---|---|---|---|---|",
    ]
    for name, shift in SHIFTS.items():
        delays = [delay(make(seed).verdicts(shift)) for seed in range(streams)]
        middle, late = (int(np.quantile(delays, q, method="inverted_cdf")) for q in (0.5, 0.9))
        lines.append(f"| {name} | {middle} | {late} | {middle * ROWS:,} | {late * ROWS:,} | |")
    quiet = [_first(make(seed).verdicts(None), windows) for seed in range(streams)]
    return "\n".join([*lines, f"| {NONE} | | | | | {1000 * _alarm_share(quiet):.1f} |", "", _summary(quiet)])


def _first(verdicts: Iterator[bool], count: int) -> list[bool]:
    return [drifted for _, drifted in zip(range(count), verdicts, strict=False)]


def _alarm_share(quiet: Sequence[Sequence[bool]]) -> float:
    return float(np.mean([alarm(v[: end + 1], ALARMS, OF) for v in quiet for end in range(OF - 1, len(v))]))


def _summary(quiet: Sequence[Sequence[bool]]) -> str:
    verdicts = np.array(quiet)
    return (
        f"Without drift {verdicts.mean():.2%} of {verdicts.size:,} windows were called drifted (stated {P_VALUE:.0%}; "
        f"of the first windows {verdicts[:, 0].mean():.0%}), and {_alarm_share(quiet):.2%} raised an alarm "
        f"(stated {alarm_rate(P_VALUE, ALARMS, OF):.2%})."
    )


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description="Delay of the drift alarm on Titanic streams.")
    parser.add_argument("--streams", type=int, default=STREAMS, help="streams for each shift")
    parser.add_argument("--windows", type=int, default=30, help="windows of each stream without drift")
    arguments = parser.parse_args()
    for title, make in (("Rows drawn from the table", fresh), ("No passenger on both sides", halves)):
        print(f"{title}, {arguments.streams} streams, windows of {ROWS} rows, alarm at {ALARMS} of {OF}:\n")
        print(table(make, arguments.streams, arguments.windows), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
