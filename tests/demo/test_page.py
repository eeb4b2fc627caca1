"""The page of a circle that was made by hand."""

from __future__ import annotations

import pytest

from lifeboat.demo.driver import DemoResult
from lifeboat.demo.page import figures, render_page
from lifeboat.demo.timeline import DemoTimeline, TimelineEntry
from lifeboat.demo.traffic import AnsweredRequest
from lifeboat.usecases.titanic import USECASE

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
            "version": version, "p_values": {"Age": p_value, "Fare": 0.8}}  # fmt: skip


@pytest.fixture
def circle() -> DemoResult:
    timeline = DemoTimeline(lambda *_: None, list(MOMENTS))
    windows = [window(1, 5, 0.4), window(2, 13, 0.0), window(1, 38, 0.3, "2")]
    return DemoResult(answers(), windows, timeline, "a test", {"joined": 300}, "accuracy")


def test_the_figures_say_how_long_each_part_took_and_what_the_models_got_right(circle: DemoResult) -> None:
    found = {words: figure for figure, words in figures(circle)}
    assert found["predictions"] == "400"
    assert found["of them failed"] == "0"
    assert found["from the change to the alarm"] == "4 s"
    assert found["to the new model's first answer"] == "20 s"
    assert found["accuracy before the change"] == "100%"
    assert found["after it, the old model"] == "0%"
    assert found["after it, the new model"] == "100%"
    assert found["99 % of answers within, before the change"] == "1.0 ms"
    assert found["after it, retraining included"] == "2.0 ms"


def test_a_failed_prediction_counts(circle: DemoResult) -> None:
    circle.answers.insert(5, AnsweredRequest(START + 2, 1.0, "", error="503: full"))
    assert {words: figure for figure, words in figures(circle)}["of them failed"] == "1"


def test_the_page_is_complete_in_itself_and_escapes_what_it_shows(circle: DemoResult) -> None:
    page = render_page(circle, USECASE)
    assert "the first model &lt;is&gt; trained" in page
    assert "data:image/svg+xml;base64," in page
    assert "http" not in page.replace("http-equiv", "").partition("base64,")[0]


def test_a_part_that_never_came_is_named() -> None:
    timeline = DemoTimeline(lambda *_: None, MOMENTS[:4])
    assert timeline.since("world", "alarm") == 4
    with pytest.raises(ValueError, match="no retrain after world"):
        timeline.since("world", "retrain")
