"""A real model server feeds a real detector: predictions of both protocols, feedback, and the end."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd

from lifeboat.preprocess.step import Outputs, preprocess
from lifeboat.registry.storage import DirectoryStorage
from tests.cli.tiny import USECASE
from tests.detector.conftest import Shop
from tests.detector.test_events import v2_request
from tests.detector.world import Detector, add_bundle, detector, people, predictions, request_of
from tests.server.world import call, server


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
    assert found["events"] | {"last": 0} == {"accepted": 15, "last": 0, **none}
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


def test_truths_that_name_the_training_rows_own_ids_change_none_of_them(tmp_path: Path) -> None:
    """The attack: somebody says of each row of the table that it ended otherwise, under its own id."""
    store = tmp_path / "store"
    digest = add_bundle(store)
    table = [{**row, "id": number, "fate": number % 2} for number, row in enumerate(people(40), start=1)]
    with (tmp_path / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*table[0]])
        writer.writeheader()
        writer.writerows(table)
    with (
        detector(store, tmp_path / "drift.db", "--export-seconds", "0.2") as running,
        server(store / "bundles" / "tiny" / digest, "--events-url", running.url) as serving,
    ):
        for row in table:
            asked = {name: cell for name, cell in row.items() if name != "fate"}
            answer = call(serving.url + "/predict", request_of([asked]))
            truth = {"response": answer.json, "truth": {"data": {"ndarray": [1 - row["fate"]]}}}
            assert call(serving.url + "/api/v1.0/feedback", truth).status == 200
        running.until(lambda report: report["feedback"]["exported"] == 40)
    kept = []
    for name, labelled in (("alone", None), ("attacked", DirectoryStorage(store))):
        (tmp_path / name).mkdir()
        out = Outputs(*(tmp_path / name / part for part in ("train", "test", "broken", "page")))
        summary = preprocess(USECASE, str(tmp_path / "table.csv"), out, labelled=labelled, say=lambda _: None)
        kept.append(pd.concat([pd.read_parquet(part) for part in (out.train, out.test)]))
    assert kept[0].equals(kept[1])
    assert (summary.labelled, summary.conflicts, summary.replaced) == (40, 40, 0)
