"""A real model server feeds a real detector: predictions of both protocols, feedback, and the end."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd

from lifeboat.config.tokens import EVENTS, FEEDBACK, PREDICT, READ, change_tokens, make_token
from lifeboat.data.labelled.labelled_rows import load_labelled
from lifeboat.preprocess.step import Outputs, preprocess
from lifeboat.registry.storage import DirectoryStorage
from tests.cli.tiny import USECASE
from tests.detector.conftest import Shop
from tests.detector.test_events import v2_request
from tests.detector.world import BATCH, Detector, add_bundle, detector, event, people, predictions, request_of
from tests.ports import others_address
from tests.server.world import TINY, call, server


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


def test_over_the_network_neither_a_predictor_nor_a_distrusted_source_teaches(tmp_path: Path) -> None:
    """The attack once more, by strangers who have a token: for predictions, and for feedback that nobody trusts."""
    store, file = tmp_path / "store", tmp_path / "tokens.json"
    digest = add_bundle(store)
    may = {"asker": [PREDICT], "clinic": [FEEDBACK], "mallory": [FEEDBACK], "server": [EVENTS], "watch": [READ]}
    made = {name: make_token(name, rights) for name, rights in may.items()}
    change_tokens(file, lambda _: [token for _, token in made.values()])
    header = {name: {"authorization": f"Bearer {text}"} for name, (text, _) in made.items()}
    (tmp_path / "own").write_text(made["server"][0])
    guards = ("--host", "0.0.0.0", "--tokens", str(file))  # noqa: S104
    flags = (*guards, "--export-seconds", "0.2", "--trusted-sources", "clinic")
    rows = people(30)
    with (
        detector(store, tmp_path / "drift.db", *flags) as running,
        server(
            store / "bundles" / "tiny" / digest,
            *guards,
            "--events-url",
            running.url,
            "--token-file",
            str(tmp_path / "own"),
        ) as serving,
    ):
        running.token = made["watch"][0]
        place = others_address()
        url, intake = f"http://{place}:{serving.port}", f"http://{place}:{running.port}/events"
        for row in rows:
            answer = call(url + "/predict", request_of([row]), **header["asker"])
            lie = {"response": answer.json, "truth": {"data": {"ndarray": [0]}}}
            assert call(url + "/api/v1.0/feedback", lie, **header["asker"]).status == 403
            assert call(url + "/api/v1.0/feedback", lie, **header["mallory"]).status == 200
            truth = {"response": answer.json, "truth": {"data": {"ndarray": [1]}}}
            assert call(url + "/api/v1.0/feedback", truth, **header["clinic"]).status == 200
        assert call(url + "/api/v1.0/feedback", lie).status == 401
        forged = [event("feedback", "p", lie, authid="clinic")]
        for name in ("asker", "mallory", "clinic", "watch"):
            assert call(intake, forged, content_type=BATCH, **header[name]).status == 403
        found = running.until(lambda report: report["models"] and report["models"][0]["live"]["rows"] == 30)
        said = found["sources"]
        live = found["models"][0]["live"]
        trusted = frozenset({"clinic"})
        running.until(
            lambda _: load_labelled(DirectoryStorage(store), "tiny", TINY, trusted=trusted).table.num_rows == 30
        )
        learned = load_labelled(DirectoryStorage(store), "tiny", TINY, trusted=trusted)
    assert said == {"clinic": 30, "mallory": 30}
    assert (live["rows"], found["feedback"]["untrusted"] + found["feedback"]["conflict"]) == (30, 30)
    assert set(learned.table["fate"].to_pylist()) == {1}
    assert set(learned.sources) == {"clinic"}
