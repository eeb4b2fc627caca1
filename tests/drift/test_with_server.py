"""A real model server feeds a real detector: predictions of both protocols, feedback, and the end."""

from __future__ import annotations

from pathlib import Path

from tests.serving.world import call, server

from .conftest import Shop
from .test_events import v2_request
from .world import Detector, detector, people, predictions, request_of


def test_predictions_and_feedback_of_a_real_server_arrive(shop: Shop, running: Detector) -> None:
    bundle = shop.store / "bundles" / "tiny" / shop.digest
    rows = [{**row, "id": number} for number, row in enumerate(people(12), start=1)]
    with server(bundle, "--events-url", running.url, "--model-version", "7") as serving:
        for number, row in enumerate(rows):
            answer = call(serving.url + "/predict", request_of([row]), seldon_puid=f"p{number}")
            assert answer.status == 200
        assert call(serving.url + "/v2/models/tiny/infer", v2_request(people(8))).status == 200
        by_puid = {"response": {"meta": {"puid": "p0"}}, "truth": {"data": {"ndarray": ["survived"]}}, "reward": 1}
        assert call(serving.url + "/api/v1.0/feedback", by_puid).status == 200
        by_entity = {"truth": {"jsonData": [{"id": 5, "fate": 0}]}}
        assert call(serving.url + "/api/v1.0/feedback", by_entity).status == 200
        found = running.until(lambda report: report["feedback"]["exported"] == 2)
    model = found["models"][0]
    assert (model["model"], model["version"], model["digest"], model["rows"]) == ("tiny", "7", shop.digest, 20)
    none = {"duplicates": 0, "refused": {}, "waiting": 0, "held": 0}
    assert found["events"] | {"last": 0} == {"accepted": 28, "last": 0, **none}
    running.until(lambda report: [one["state"] for one in report["models"][0]["windows"]] == ["judged", "judged"])


def test_a_prediction_of_thousands_of_rows_comes_as_an_event_of_its_own(shop: Shop, running: Detector) -> None:
    bundle = shop.store / "bundles" / "tiny" / shop.digest
    with server(bundle, "--events-url", running.url, "--model-version", 'the "7th" %') as serving:
        assert call(serving.url + "/predict", request_of(people(10_000))).status == 200
        assert call(serving.url + "/predict", request_of(people(1))).status == 200
        found = running.until(lambda report: report["models"] and report["models"][0]["rows"] == 10_001)
    assert found["models"][0]["version"] == 'the "7th" %'
    assert found["events"]["refused"] == {}


def test_what_is_acknowledged_before_sigterm_is_there_afterwards(shop: Shop, tmp_path: Path) -> None:
    with detector(shop.store, tmp_path / "drift.db") as first:
        for seed in range(20):
            first.post(predictions(shop.digest, people(5, seed)))
        assert first.stop() == 0
    with detector(shop.store, tmp_path / "drift.db") as second:
        found = second.settled()
        assert (found["models"][0]["rows"], found["events"]["accepted"]) == (100, 200)
