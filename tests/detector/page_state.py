"""States of GET /drift for the page's tests: nine columns and the score of one model, with and without a shift."""

from __future__ import annotations

from random import Random
from typing import Any

NOW = 1_790_000_000.0  # 21 September 2026, 14:13:20 UTC
THRESHOLD = 0.0037
# name: kind, test, bins, shares of the reference, shares after the shift, missing before and after
COLUMNS: dict[str, tuple[str, str, list[str], list[float], list[float], float, float]] = {
    "Pclass": ("category", "Chi2", ["1", "2", "3"], [0.24, 0.21, 0.55], [0.27, 0.22, 0.51], 0, 0),
    "Name": ("text", "K-S", ["under 20", "20 to 30", "30 to 40", "40 to 50", "50 and over"],
             [0.23, 0.48, 0.18, 0.08, 0.03], [0.25, 0.45, 0.19, 0.09, 0.02], 0, 0),
    "Sex": ("category", "Chi2", ["female", "male"], [0.35, 0.65], [0.37, 0.63], 0, 0),
    "Age": ("number", "K-S", ["under 10", "10 to 20", "20 to 30", "30 to 40", "40 to 50", "50 to 60", "60 and over",
            "missing"], [0.07, 0.11, 0.25, 0.19, 0.1, 0.05, 0.03, 0.2],
            [0.05, 0.03, 0.21, 0.23, 0.13, 0.08, 0.06, 0.21], 0.199, 0.21),
    "SibSp": ("category", "Chi2", ["0", "1", "2", "others"], [0.68, 0.23, 0.03, 0.06], [0.66, 0.24, 0.04, 0.06], 0, 0),
    "Parch": ("category", "Chi2", ["0", "1", "2"], [0.76, 0.13, 0.11], [0.77, 0.12, 0.11], 0, 0),
    "Fare": ("number", "K-S", ["under 20", "20 to 40", "40 to 60", "60 to 80", "80 to 100", "100 and over"],
             [0.58, 0.22, 0.06, 0.05, 0.03, 0.06], [0.44, 0.21, 0.11, 0.05, 0.01, 0.18], 0.011, 0.015),
    "Cabin": ("text", "K-S", ["under 3", "3 to 4", "4 and over", "missing"], [0.03, 0.15, 0.05, 0.77],
              [0.05, 0.13, 0.04, 0.78], 0.771, 0.78),
    "Embarked": ("category", "Chi2", ["C", "Q", "S", "missing"], [0.19, 0.09, 0.72, 0], [0.17, 0.1, 0.73, 0], 0.002, 0),
    "score": ("score", "K-S", ["under 0.1", "0.1 to 0.2", "0.2 to 0.4", "0.4 to 0.6", "0.6 to 0.8", "0.8 and over"],
              [0.31, 0.22, 0.12, 0.09, 0.1, 0.16], [0.24, 0.2, 0.13, 0.11, 0.13, 0.19], 0, 0),
}  # fmt: skip
# What is tested of a column; the first one moved most.
ASPECTS = {
    "number": ["values"], "score": ["values"], "category": ["share of each value", "unseen values"],
    "text": ["length", "alphabetical order", "characters", "unseen values"],
}  # fmt: skip
SHIFTED = {"Age": 7, "Fare": 11, "score": 3}  # orders of magnitude that a shift takes off the p-value
FIGURES = [
    {"name": "accuracy", "title": "Accuracy", "higher_is_better": True},
    {"name": "log_loss", "title": "Log loss", "higher_is_better": False},
    {"name": "calibration_error", "title": "Calibration error", "higher_is_better": False},
]


def feature(name: str, p_value: float) -> dict[str, Any]:
    kind, test, bins, reference, window, missing, now_missing = COLUMNS[name]
    aspects = ASPECTS[kind]
    return {
        "aspect": aspects[0], "tests": [{"aspect": aspect, "test": test, "p_value": p_value} for aspect in aspects],
        "name": name, "kind": kind, "test": test, "p_value": p_value, "threshold": THRESHOLD,
        "drift": p_value < THRESHOLD, "distance": max(abs(a - b) for a, b in zip(reference, window, strict=True)),
        "effect": {"name": "PSI" if test == "Chi2" else "Wasserstein", "value": 0.31 if p_value < THRESHOLD else 0.02},
        "missing": {"reference": missing, "window": now_missing},
        "histogram": {"bins": bins, "reference": reference, "window": window},
    }  # fmt: skip


def windows(number: int, shifted: int) -> list[dict[str, Any]]:
    """Judged windows, five minutes each; the last `shifted` of them drift, from the second one on with an alarm."""
    random = Random(7)  # noqa: S311 the same every time
    made = []
    for index in range(number):
        late = index - (number - shifted)  # 0 for the first that drifts
        closed = NOW - 60 - 300 * (number - 1 - index)
        p_values = {name: max(random.random(), 0.02) for name in COLUMNS}
        if late >= 0:
            p_values |= {name: 10.0 ** -(3 + power * min(1, 0.4 + 0.2 * late)) for name, power in SHIFTED.items()}
        made.append({
            "number": index + 1, "opened": closed - 300, "closed": closed, "rows": 200, "drift": late >= 0,
            "alarm": late >= 1, "state": "judged", "reason": "", "threshold": THRESHOLD, "p_values": p_values,
        })  # fmt: skip
    return made


def model(number: int = 30, shifted: int = 0, **fields: Any) -> dict[str, Any]:
    closed = windows(number, shifted)
    accuracy = [0.83 - 0.006 * max(0, index - number + shifted + 1) + 0.01 * ((index * 7) % 5 - 2) / 2
                for index in range(number)]  # fmt: skip
    history = [
        {"time": window["closed"], "accuracy": value, "log_loss": 1.24 - value, "rows": 100 + 9 * index}
        for index, (window, value) in enumerate(zip(closed, accuracy, strict=True))
    ]
    newest = closed[-1] if closed else None
    made: dict[str, Any] = {
        "model": "titanic", "version": "3", "digest": "9f2c4be1a07d55c3e8d1", "active": True, "alarms": 2, "of": 3,
        "alarm": bool(newest and newest["alarm"]), "windows": closed, "online": None, "history": history,
        "window": {"rows": 37, "of": 200, "opened": NOW - 60, "closes": NOW + 3540},
        "latest": newest and {
            "number": newest["number"], "rows": 200, "drift": newest["drift"], "p_value": 0.05, "seconds": 0.04,
            "correction": "calibrated", "threshold": THRESHOLD,
            "features": [feature(name, p_value) for name, p_value in newest["p_values"].items()],
        },
        "live": {
            "figures": FIGURES, "bound": 0.8, "needed": 100,
            **({"rows": 361, "accuracy": accuracy[-1], "log_loss": 0.43, "calibration_error": 0.041}
               if closed else {"rows": 0, "accuracy": None, "log_loss": None, "calibration_error": None}),
        },
    }  # fmt: skip
    return made | fields


def state(*models: dict[str, Any], **fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "models": list(models), "time": NOW, "judge": {"state": "ready", "reason": ""},
        "events": {"accepted": 12074, "duplicates": 12, "refused": {"schema": 3}, "waiting": 4, "held": 0,
                   "last": NOW - 2},
        "feedback": {"joined": 361, "waiting": 8, "duplicate": 2, "contradictory": 1, "conflict": 2, "untrusted": 4,
                     "ambiguous": 3, "late": 0, "unknown": 5, "exported": 352},
    }  # fmt: skip
    return made | fields


QUIET = {"accepted": 0, "duplicates": 0, "refused": {}, "waiting": 0, "held": 0, "last": None}
# Each kind of state, and what the headline says of it.
STATES: dict[str, tuple[dict[str, Any], str]] = {
    "none": (state(events=QUIET), "Waiting for the first prediction"),
    "collecting": (state(model(0)), "Collecting: 37 of 200 rows"),
    "calm": (state(model()), "No drift"),
    "one window": (state(model(10, 1)), "Watching: Fare, Age, score"),
    "alarm": (state(model(30, 5)), "Drift: Fare, Age, score since 13:57"),
    "inaccurate": (
        state(model(live=model()["live"] | {"accuracy": 0.7})),
        "No drift, but live accuracy is below its bound",
    ),
    "judge failed": (
        state(model(0), judge={"state": "failed", "reason": "no module named alibi_detect"}),
        "No verdict: the judge failed",
    ),
}
