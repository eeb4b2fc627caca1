"""The data plane as an adapter of any protocol meets it: columns in, callbacks out, and nothing of HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lifeboat.http.errors import RequestError
from lifeboat.server.asked import Asked
from lifeboat.server.cloudevents import Content
from lifeboat.server.dataplane import DataPlane
from lifeboat.server.events import Events
from lifeboat.server.large_requests import SMALL
from lifeboat.server.metrics import ServerMetrics
from lifeboat.server.model.onnx_model import Answers, Model, load_model
from lifeboat.server.request_id import RequestId
from lifeboat.server.settings import ServerSettings
from lifeboat.system.tracing import Span
from tests.server.world import ROW, ROW_VALUES, expected

SURVIVED = expected(22.5, 0.0, "C")


class Watching(Events):
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.predictions: list[tuple[list[str], list[list[Any]], list[list[float]]]] = []
        self.feedback: list[tuple[Content, str, str]] = []

    def predicted(
        self, asked: Sequence[Asked], columns: list[list[Any]], answers: Answers, is_traced: bool = False
    ) -> None:
        self.predictions.append(([one.id.puid for one in asked], columns, answers[:, 1:].round(4).tolist()))

    def judged(self, feedback: Content, id_: RequestId, source: str, span: Span | None = None) -> None:
        self.feedback.append((feedback, id_.puid, source))


class Adapter:
    """The smallest one: its requests are columns, its answers are numbers, its errors sentences."""

    def __init__(self, plane: DataPlane, failing: bool = False) -> None:
        self._plane, self._failing = plane, failing
        self.answers: list[Any] = []

    def ask(self, columns: Sequence[list[Any]], puid: str = "p", watched: bool = True) -> None:
        asked = Asked(list(columns), len(columns[0]), self._plane.ids.make(puid.encode(), None, ""), 100, watched)
        self._plane.infer(asked, self.write, lambda error: error.info, self.answers.append)

    def write(self, answers: Answers) -> list[float]:
        if self._failing:
            raise ValueError("no words")
        return [round(float(score), 4) for score in answers[:, 1]]


@pytest.fixture(scope="module")
def model(bundle: Path) -> Model:
    return load_model(bundle)


def planes(model: Model, queues: Sequence[Any] = (), **settings: Any) -> tuple[DataPlane, ServerMetrics]:
    metrics = ServerMetrics({}, model.bundle.task)
    loop = asyncio.get_running_loop()
    return DataPlane(model, ServerSettings(bundle="b", **settings), metrics, loop, queues), metrics


def run(test: Callable[[], Any]) -> None:
    asyncio.run(test())


def columns(rows: int = 1) -> list[list[Any]]:
    return [["Ann"] * rows, ["C"] * rows, [22.5] * rows, [3] * rows, [1.0] * rows]


def counted(metrics: ServerMetrics, start: str) -> str:
    return next(line.split()[-1] for line in metrics.render().decode().splitlines() if line.startswith(start))


def test_predictions_of_one_pass_are_joined_and_each_gets_its_own_rows(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    predict = model.predict
    monkeypatch.setattr(model, "predict", lambda given: sizes.append(len(given[0])) or predict(given))

    async def test() -> None:
        plane, metrics = planes(model)
        adapter = Adapter(plane)
        for rows in (1, 2, 1):
            adapter.ask(columns(rows))
        assert adapter.answers == []
        await asyncio.sleep(0)
        assert adapter.answers == [[pytest.approx(SURVIVED)] * rows for rows in (1, 2, 1)]
        assert sizes == [4]
        assert counted(metrics, 'lifeboat_predictions_total{class="died"}') == "4"

    run(test)


def test_more_rows_than_a_run_takes_are_scored_in_the_thread(model: Model) -> None:
    async def test() -> None:
        plane, _ = planes(model)
        adapter = Adapter(plane)
        adapter.ask(columns(1000))
        await asyncio.sleep(0)
        assert adapter.answers == []
        while not adapter.answers:
            await asyncio.sleep(0.01)
        assert len(adapter.answers[0]) == 1000

    run(test)


def test_a_model_that_fails_is_an_error_to_write_and_is_shown_to_nobody(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Any) -> Any:
        raise RuntimeError("no memory")

    monkeypatch.setattr(model, "predict", fail)

    async def test() -> None:
        plane, _ = planes(model)
        plane.events = Watching()
        adapter = Adapter(plane)
        adapter.ask(columns())
        await asyncio.sleep(0)
        assert adapter.answers == ["the model failed on this request"]
        assert plane.events.predictions == []

    run(test)


def test_an_answer_that_cannot_be_written_is_an_error_and_the_others_of_its_run_are_answered(model: Model) -> None:
    async def test() -> None:
        plane, metrics = planes(model)
        plane.events = Watching()
        broken, right = Adapter(plane, failing=True), Adapter(plane)
        broken.ask(columns(), "broken")
        right.ask(columns(), "right")
        await asyncio.sleep(0)
        assert broken.answers == ["internal error"]
        assert right.answers == [[pytest.approx(SURVIVED)]]
        assert [names for names, _, _ in plane.events.predictions] == [["right"]]
        assert counted(metrics, 'lifeboat_predictions_total{class="died"}') == "1"

    run(test)


def test_the_events_are_told_of_a_run_at_once_after_its_answers_but_not_of_what_is_not_to_be_watched(
    model: Model,
) -> None:
    async def test() -> None:
        plane, _ = planes(model)
        plane.events = Watching()
        adapter = Adapter(plane)
        adapter.ask(columns(), "first")
        adapter.ask(columns(2), "second")
        await asyncio.sleep(0)
        assert len(adapter.answers) == 2
        survived = [pytest.approx(SURVIVED)]
        assert plane.events.predictions == [(["first", "second"], columns(3), [survived] * 3)]
        adapter.ask(columns(), "third", watched=False)
        adapter.ask(columns(2), "fourth")
        await asyncio.sleep(0)
        assert plane.events.predictions[1:] == [(["fourth"], columns(2), [survived] * 2)]

    run(test)


def test_feedback_is_counted_and_shown_with_its_source_unless_there_is_nothing_to_show(model: Model) -> None:
    async def test() -> None:
        plane, metrics = planes(model)
        plane.events = Watching()
        id_, content = plane.ids.make(b"p", None, ""), Content(b"text/plain", b"yes")
        plane.feedback([1, 1, 0], 0.5, id_, "bank", content)
        plane.feedback([0], 0.25, id_, "bank", None)
        assert plane.events.feedback == [(content, "p", "bank")]
        assert counted(metrics, 'lifeboat_feedback_total{truth="survived"}') == "2"
        assert counted(metrics, "lifeboat_feedback_reward_total") == "0.75"

    run(test)


def test_a_small_request_is_read_at_once_and_a_large_one_is_resumed_later_with_what_it_gave_or_raised(
    model: Model,
) -> None:
    def refuse(_: str) -> str:
        raise RequestError(400, "wrong")

    async def test() -> None:
        plane, _ = planes(model)
        resumed: list[Any] = []

        def resume(request: str, rest: Callable[[], Any]) -> None:
            try:
                resumed.append((request, rest()))
            except RequestError as error:
                resumed.append((request, error.info))

        def then(request: str, found: str) -> str:
            return request + found

        assert plane.read("a", SMALL, str.upper, then, resume) == "aA"
        with pytest.raises(RequestError, match="wrong"):
            plane.read("a", SMALL, refuse, then, resume)
        assert plane.read("b", SMALL + 1, str.upper, then, resume) is None
        assert plane.read("c", SMALL + 1, refuse, then, resume) is None
        while len(resumed) < 2:
            await asyncio.sleep(0.01)
        assert resumed == [("b", "bB"), ("c", "wrong")]

    run(test)


def test_what_waits_here_or_before_is_load_and_too_much_of_it_is_refused(model: Model) -> None:
    async def test() -> None:
        before: list[int] = []
        plane, _ = planes(model, (before,), max_pending=2)
        adapter = Adapter(plane)
        plane.check_load()
        adapter.ask(columns())
        adapter.ask(columns())
        with pytest.raises(RequestError, match="2 requests are waiting") as error:
            plane.check_load()
        assert error.value.status == 503
        await asyncio.sleep(0)
        plane.check_load()
        before.extend([1, 2, 3])
        with pytest.raises(RequestError, match="3 requests are waiting"):
            plane.check_load()

    run(test)


def test_it_is_ready_when_it_is_told_so_and_says_what_it_serves(model: Model) -> None:
    async def test() -> None:
        plane, _ = planes(model, model_name="ship", model_version="3")
        with pytest.raises(RequestError, match="not ready"):
            plane.check_ready()
        plane.ready = True
        plane.check_ready()
        metadata = plane.metadata()
        assert (metadata.identity.name, metadata.identity.version, metadata.usecase) == ("ship", "3", "tiny")
        assert metadata.schema.names == tuple(ROW)
        *inputs, keys = plane.reader.from_rows([ROW_VALUES], None, "rows")
        assert inputs == columns()
        assert np.isnan(keys).tolist() == [True]

    run(test)


def test_scores_for_the_warm_up_are_counted_nowhere(model: Model) -> None:
    async def test() -> None:
        plane, metrics = planes(model)
        assert np.allclose(plane.score(columns())[:, 1], SURVIVED)
        assert counted(metrics, 'lifeboat_predictions_total{class="died"}') == "0"

    run(test)
