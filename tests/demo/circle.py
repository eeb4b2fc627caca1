"""A circle of the demonstration, made by hand."""

from __future__ import annotations

from lifeboat.demo.driver import DemoResult
from lifeboat.demo.timeline import DemoTimeline, TimelineEntry
from lifeboat.demo.traffic import AnsweredRequest

START = 1_800_000_000.0
MOMENTS = [
    TimelineEntry(START, "note", "the first model <is> trained"),
    TimelineEntry(START + 1, "world", "normal traffic"),
    TimelineEntry(START + 10, "world", "the world changes"),
    TimelineEntry(START + 14, "alarm", "alarm"),
    TimelineEntry(START + 16, "alert", "alert"),
    TimelineEntry(START + 17, "retrain", "run"),
    TimelineEntry(START + 30, "model", "version 2"),
]


def answers() -> list[AnsweredRequest]:
    """Right until the world changes, wrong from then on, right again with version 2; a second each 10."""
    made = []
    for step in range(400):
        moment = START + 1 + step / 10
        version = "1" if moment < START + 30 else "2"
        right = moment < START + 10 or version == "2"
        made.append(AnsweredRequest(moment, 0.001 if version == "1" else 0.002, version, right))
    return made


def window(number: int, second: float, p_value: float, version: str = "1") -> dict[str, object]:
    return {"number": number, "closed": START + second, "drift": p_value < 0.01, "alarm": False, "threshold": 0.01,
            "version": version, "noted": START + second, "truth": f"accuracy of window {number}",
            "p_values": {"Age": p_value, "Fare": 0.8}}  # fmt: skip


def made_circle() -> DemoResult:
    """What is left of it."""
    timeline = DemoTimeline(lambda *_: None, list(MOMENTS))
    windows = [window(1, 5, 0.4), window(2, 13, 0.0), window(1, 38, 0.3, "2")]
    return DemoResult(answers(), windows, timeline, "a test", {"joined": 300}, "accuracy")
