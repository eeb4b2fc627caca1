"""The page of a circle that was made by hand."""

from __future__ import annotations

import html
import io
import re
from argparse import Namespace
from pathlib import Path

import pytest
from rich.console import Console

from lifeboat.cli.loop import _Teller, loop
from lifeboat.config.settings import Settings
from lifeboat.demo.driver import DemoResult
from lifeboat.demo.page import figures, render_page
from lifeboat.demo.plots import labels
from lifeboat.demo.steps import StepReader
from lifeboat.demo.story import tell_story
from lifeboat.demo.timeline import DemoTimeline, TimelineEntry
from lifeboat.demo.traffic import AnsweredRequest
from lifeboat.usecases.titanic import USECASE
from tests.demo.circle import MOMENTS, START, made_circle, window


@pytest.fixture
def circle() -> DemoResult:
    return made_circle()


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
    assert re.findall(r"(?:src|href|srcset)=[\"'](?!data:)", page) == []
    assert len(page) < 400_000


def test_the_story_has_a_line_for_the_windows_of_each_part(circle: DemoResult) -> None:
    circle.windows[1:2] = [window(number, 11 + 0.4 * number, 0.0) for number in range(2, 42)]
    circle.windows.extend([window(2, 60, 0.001, "2"), window(3, 61, 0.4, "2")])
    circle.windows.sort(key=lambda one: one["noted"])
    told = [moment.text for moment in tell_story(circle)]
    assert told == [
        "normal traffic",
        "version 1, 1 window without drift; accuracy of window 1",
        "the world changes",
        "alarm",
        "alert",
        "run",
        "version 1, 40 windows, each with drift: Age; accuracy of window 41",
        "version 2",
        "version 2, 3 windows, 1 of them with drift: Age; accuracy of window 3",
    ]


def test_the_details_have_every_moment(circle: DemoResult) -> None:
    details = render_page(circle, USECASE).partition("<details>")[2]
    assert all(html.escape(moment.text) in details for moment in MOMENTS)


def test_moments_that_are_close_have_one_label() -> None:
    firsts = {"world": 10.0, "retrain": 17.0, "alert": 16.0, "alarm": 16.5, "model": 80.0}
    wanted = [(10.0, "the world changes"), (16.0, "alert, alarm, retraining"), (80.0, "new model")]
    assert labels(firsts, 100.0) == wanted


def test_each_step_of_a_log_is_told_once(tmp_path: Path) -> None:
    told: list[str] = []
    reader, log = StepReader(told.append), tmp_path / "run.log"
    reader.look(log)
    log.write_text("Survival\n\n1. preprocess\n   read 891 rows\n   1. of them\n")
    reader.look(log)
    assert told == ["preprocess"]
    log.write_text(log.read_text() + "\n2. train\n   done in 3.0 s\n\n3. evaluate\n")
    reader.look(log)
    reader.look(log)
    assert told == ["preprocess", "train", "evaluate"]


def test_the_terminal_passes_over_windows_that_say_the_same() -> None:
    shown = io.StringIO()
    teller = _Teller(Console(file=shown, width=200))
    for second in range(25):
        text = f"version 1, window {second}: drift of Age; accuracy 0.{second} of {second} rows"
        teller.show(float(second), TimelineEntry(START + second, "window", text))
    teller.show(25.0, TimelineEntry(START + 25, "alarm", "the alarm is on"))
    teller.show(25.5, TimelineEntry(START + 25, "window", "version 1, window 26: no drift"))
    lines = [line.split("  ")[-1].split(";")[0] for line in shown.getvalue().splitlines()]
    drift = [f"version 1, window {number}: drift of Age" for number in (0, 10, 20)]
    assert lines == [*drift, "the alarm is on", "version 1, window 26: no drift"]


def test_a_port_of_the_homes_own_services_is_not_asked_for_in_the_circles_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Settings] = []

    class SeenError(Exception): ...

    def see(_: object, settings: Settings, *__: object) -> None:
        asked.append(settings)
        raise SeenError

    monkeypatch.setattr("lifeboat.cli.loop.Driver", see)
    monkeypatch.setattr(Settings, "make_environments", lambda *_: None)
    own = Settings(home=str(tmp_path), explainer_port=9031, ui_port=9051, port=9001)
    options = Namespace(usecase="titanic", rate=1.0, calm=1, patience=1.0)
    with pytest.raises(SeenError):
        loop(options, own)
    [found] = asked
    assert (found.explainer_port, found.ui_port, found.explainer, found.ui) == (0, 0, False, False)
    assert found.port != 9001


def test_a_part_that_never_came_is_named() -> None:
    timeline = DemoTimeline(lambda *_: None, MOMENTS[:4])
    assert timeline.since("world", "alarm") == 4
    with pytest.raises(ValueError, match="no retrain after world"):
        timeline.since("world", "retrain")
