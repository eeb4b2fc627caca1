"""The page of one circle: figures, the story, the picture, every moment; complete in itself."""

from __future__ import annotations

import base64

import numpy as np

from lifeboat.demo.driver import DemoResult
from lifeboat.demo.plots import DARK, LIGHT, draw_loop
from lifeboat.demo.story import tell_story
from lifeboat.demo.traffic import AnsweredRequest
from lifeboat.system.pages.templates import render
from lifeboat.usecase.usecase import UseCase

Fact = tuple[str, str]


def render_page(result: DemoResult, usecase: UseCase) -> str:
    """The page as HTML."""
    light, dark = (base64.b64encode(draw_loop(result, colors)).decode() for colors in (LIGHT, DARK))
    moments = result.timeline.moments
    return render(
        "lifeboat.demo",
        "loop.html.j2",
        title=usecase.title,
        monitoring=result.monitoring,
        facts=figures(result),
        rightness=result.rightness.capitalize(),
        light=light,
        dark=dark,
        story=tell_story(result),
        moments=moments,
        start=moments[0].time,
    )


def figures(result: DemoResult) -> list[Fact]:
    """What the circle showed: a figure and its words each."""
    changed = [moment.time for moment in result.timeline.moments if moment.kind == "world"][-1]
    before = [answer for answer in result.answers if answer.time < changed]
    since = [answer for answer in result.answers if answer.time >= changed]
    first, last = before[0].version, result.answers[-1].version
    timeline = result.timeline
    return [
        (f"{len(result.answers):,}", "predictions"),
        (str(len(result.failed)), "of them failed"),
        (f"{timeline.since('world', 'alarm'):.0f} s", "from the change to the alarm"),
        (f"{timeline.since('world', 'retrain'):.0f} s", "to the start of the retraining"),
        (f"{timeline.since('world', 'model'):.0f} s", "to the new model's first answer"),
        (_share(before), f"{result.rightness} before the change"),
        (_share([answer for answer in since if answer.version == first]), "after it, the old model"),
        (_share([answer for answer in since if answer.version == last]), "after it, the new model"),
        (f"{1000 * _p99(before):.1f} ms", "99 % of answers within, before the change"),
        (f"{1000 * _p99(since):.1f} ms", "after it, retraining included"),
    ]


def _share(answers: list[AnsweredRequest]) -> str:
    return f"{np.mean([answer.right for answer in answers]):.0%}" if answers else "none"


def _p99(answers: list[AnsweredRequest]) -> float:
    return float(np.quantile([answer.seconds for answer in answers], 0.99))
