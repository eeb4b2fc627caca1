"""What a request leaves out is asked of a feature server; what does not come is null, and no request fails by it."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from lifeboat.model.bundle import GOLDEN, MODEL, REFERENCE, SCHEMA, write_bundle
from lifeboat.server.rpc.messages import INFERENCE
from lifeboat.server.stored_features import StoredFeatures
from lifeboat.usecase.schema import Column
from tests.detector.world import reference
from tests.explainer.world import explainer
from tests.feature_store.feature_server import FeatureServer, serving
from tests.feature_store.test_join import FEAST
from tests.ports import free_port
from tests.server.receiver import listening, wait_for_predictions
from tests.server.rpc.stub import Stub, infer_request
from tests.server.world import ROW, TINY, Answer, Running, call, expected, graph, ndarray, server
from tests.tracing.collector import collecting

# Ages and whether they are alone by name, ports by class; the row brings none.
SOURCES = {"age": "people:years", "alone": "people:alone", "port": "classes:harbour"}
STORED = replace(TINY, columns=tuple(replace(column, source=SOURCES.get(column.name, "")) for column in TINY.columns))
KEYS = {"people": ("name",), "classes": ("class",)}
VIEWS = {"people": {"keys": ["name"], "max_age": 3600.0}, "classes": {"keys": ["class"], "max_age": None}}
VALUES = {
    "people": {
        ("Ann",): {"years": 40.0, "alone": True}, ("Odd",): {"years": 500.0, "alone": True},
        ("Nil",): {"years": None, "alone": None}, ("Nan",): {"years": "NaN", "alone": False},
        ("Half",): {"years": 40.0}, ("Old",): "OUTSIDE_MAX_AGE",
    },
    "classes": {(1,): {"harbour": "C"}, (3,): {"harbour": "Q"}},
}  # fmt: skip
NAMES = b'{"metadata": {"feature_names": ["people__years", "people__alone", "classes__harbour"]}, "results": '
SENT = {name: value for name, value in ROW.items() if name not in SOURCES}


@pytest.fixture
def store() -> Iterator[FeatureServer]:
    with serving(KEYS, VALUES) as made:
        yield made


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored") / "bundle"
    survived = expected(22.5, port="C")
    golden = [{"row": ROW, "probabilities": [1 - survived, survived]}]
    files = {
        MODEL: graph(STORED), SCHEMA: STORED.to_json().encode(), REFERENCE: reference(),
        GOLDEN: json.dumps(golden).encode(),
    }  # fmt: skip
    write_bundle(folder, files, {"usecase": "tiny", "store": VIEWS})
    return folder


@pytest.fixture
def running(bundle: Path, store: FeatureServer) -> Iterator[Running]:
    with server(bundle, "--features-url", store.url, "--features-milliseconds", "250") as process:
        yield process


def ask(running: Running, *rows: dict[str, Any]) -> Answer:
    names = list(rows[0])
    body = {"data": {"names": names, "ndarray": [[row[name] for name in names] for row in rows]}}
    return call(f"{running.url}/api/v1.0/predictions", body)


def counted(running: Running) -> dict[str, int]:
    """How many rows came to what, by view."""
    text = call(f"http://127.0.0.1:{running.metrics_port}/prometheus").body.decode()
    lines = [line for line in text.splitlines() if line.startswith("lifeboat_features_total{")]
    found = {line.partition("{")[2].partition("}")[0]: int(float(line.rpartition(" ")[2])) for line in lines}
    words = {label.replace('view="', "").replace('",result="', " ").rstrip('"'): n for label, n in found.items()}
    return {label: number for label, number in words.items() if number}


def test_each_row_is_predicted_with_what_the_store_has_of_its_keys(running: Running, store: FeatureServer) -> None:
    rows = [SENT | {"name": name, "class": kind} for name, kind in (("Ann", 1), ("Bob", 3), ("Ann", 2))]
    answer = ask(running, *rows)
    wanted = [expected(40, port="C"), expected(None), expected(40)]
    assert answer.survived == pytest.approx(wanted, abs=1e-6)
    assert counted(running) == {"people found": 2, "people missing": 1, "classes found": 2, "classes missing": 1}
    # One question for all rows; a key once.
    [question] = store.asked
    assert sorted(question["features"]) == ["classes:harbour", "people:alone", "people:years"]
    asked = set(zip(question["entities"]["name"], question["entities"]["class"], strict=True))
    assert asked == {("Ann", 1), ("Bob", 3), ("Ann", 2)}
    assert all(type(number) is int for number in question["entities"]["class"])


def test_what_is_sent_is_not_asked_for(running: Running, store: FeatureServer) -> None:
    assert ask(running, ROW).survived[0] == pytest.approx(expected(22.5, port="C"))
    assert ask(running, ROW | {"age": None, "port": None}).survived[0] == pytest.approx(expected(None))
    assert store.asked == []
    assert ask(running, SENT | {"age": 30, "alone": None}).survived[0] == pytest.approx(expected(30))
    assert [question["features"] for question in store.asked] == [["classes:harbour"]]


def test_every_protocol_asks(running: Running, bundle: Path, store: FeatureServer) -> None:
    wanted = pytest.approx(expected(40))
    objects = call(f"{running.url}/api/v1.0/predictions", {"jsonData": SENT})
    assert objects.json["data"]["tensor"]["values"][1] == wanted
    kinds = {"name": "BYTES", "class": "INT64"}
    inputs = [{"name": name, "shape": [1], "datatype": kind, "data": [SENT[name]]} for name, kind in kinds.items()]
    assert call(f"{running.url}/v2/models/tiny/infer", {"inputs": inputs}).json["outputs"][0]["data"][1] == wanted
    rows = call(f"{running.url}/invocations", {"dataframe_records": [SENT, SENT]})
    assert rows.json["predictions"][1]["survived"] == wanted
    port = free_port()
    with (
        server(bundle, "--features-url", store.url, "--grpc-port", str(port)),
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        answer, _ = Stub(channel, INFERENCE).ask("ModelInfer", infer_request([SENT]))
    assert answer.outputs[0].contents.fp32_contents[1] == wanted
    assert len(store.asked) == 4


@pytest.mark.parametrize(
    ("name", "result", "age"),
    [
        ("Old", "expired", None),
        ("Odd", "wrong", None),
        ("Nil", "found", None),
        ("Nan", "found", None),
        ("Half", "partial", 40),
        ("Nobody", "missing", None),
    ],
)
def test_what_is_too_old_or_breaks_its_column_or_is_null_is_null_and_counted(
    running: Running, name: str, result: str, age: float | None
) -> None:
    assert ask(running, SENT | {"name": name}).survived[0] == pytest.approx(expected(age))
    assert counted(running)[f"people {result}"] == 1


def test_a_value_that_the_store_still_gives_is_too_old_by_the_bundle(running: Running, store: FeatureServer) -> None:
    store.at = "2026-01-01T00:00:00Z"
    assert ask(running, SENT | {"class": 1}).survived[0] == pytest.approx(expected(None, port="C"))
    assert counted(running) == {"people expired": 1, "classes found": 1}


def test_a_large_request_is_asked_about_in_pieces_and_by_itself(running: Running, store: FeatureServer) -> None:
    store.values["people"] |= {(f"N{number}",): {"years": number / 10, "alone": True} for number in range(600)}
    rows = [SENT | {"name": f"N{number}"} for number in range(600)]
    assert ask(running, *rows).survived == pytest.approx([expected(number / 10) for number in range(600)], abs=1e-6)
    assert [len(question["entities"]["name"]) for question in store.asked] == [256, 256, 88]


def test_a_request_without_the_key_is_refused(running: Running, store: FeatureServer) -> None:
    row = {name: value for name, value in ROW.items() if name not in ("port", "class")}
    answer = call(f"{running.url}/api/v1.0/predictions", {"jsonData": row})
    assert answer.status == 400
    assert "column class: missing" in answer.body.decode()
    assert store.asked == []


def test_a_moment_comes_in_seconds(bundle: Path) -> None:
    column = Column("born", "datetime", nullable=True, source="people:born")
    assert StoredFeatures._value(column, 1767225600) == 1767225600e6
    assert StoredFeatures._value(column, "2026-01-01T00:00:00Z") == 1767225600e6
    assert StoredFeatures._value(replace(column, epoch="ms"), 1767225600) == 1767225600e6


def change_answer(status: int, body: bytes) -> Callable[[FeatureServer], None]:
    def change(store: FeatureServer) -> None:
        store.answer = status, body

    return change


def delay(store: FeatureServer) -> None:
    store.delay = 2.0


def end(store: FeatureServer) -> None:
    store.has_ended = True


@pytest.mark.parametrize(
    ("change", "result"),
    [
        (delay, "late"),
        (end, "failed"),
        (change_answer(500, b"{}"), "failed"),
        (change_answer(200, b"<html>"), "failed"),
        (change_answer(200, b"{}"), "failed"),
        (change_answer(200, b'{"metadata": {"feature_names": ["other"]}, "results": []}'), "failed"),
        (change_answer(200, NAMES + b"[{}, {}, {}]}"), "failed"),
        (change_answer(200, NAMES + b'[{"values": [], "statuses": []}, 7, null]}'), "failed"),
        (change_answer(200, b"[1]"), "failed"),
    ],
)  # fmt: skip
def test_a_store_that_is_down_slow_or_speaks_otherwise_fails_no_request(
    running: Running, store: FeatureServer, change: Callable[[FeatureServer], None], result: str
) -> None:
    assert ask(running, SENT).survived[0] == pytest.approx(expected(40))
    change(store)
    begun = time.perf_counter()
    answer = ask(running, SENT)
    assert time.perf_counter() - begun < 1.5
    assert (answer.status, answer.survived) == (200, [pytest.approx(expected(None))])
    assert counted(running)[f"people {result}"] == 1


def test_a_store_that_is_down_is_not_asked_each_time_and_comes_back(running: Running, store: FeatureServer) -> None:
    store.delay = 0.6
    for _ in range(5):
        assert ask(running, SENT).survived[0] == pytest.approx(expected(None))
    asked = len(store.asked)
    begun = time.perf_counter()
    assert ask(running, SENT).survived[0] == pytest.approx(expected(None))
    assert time.perf_counter() - begun < 0.2
    assert len(store.asked) == asked
    store.delay = 0.0
    deadline = time.monotonic() + 10
    while ask(running, SENT).survived[0] != pytest.approx(expected(40)):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_requests_that_come_together_are_asked_about_together_and_each_gets_its_own(
    running: Running, store: FeatureServer
) -> None:
    store.delay = 0.05
    names = ["Ann", "Bob"] * 40
    gate = threading.Barrier(16)

    def one(place: int) -> float:
        if place < 16:
            gate.wait()
        return ask(running, SENT | {"name": names[place]}).survived[0]

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(one, range(len(names))))
    assert answers == [pytest.approx(expected(40 if name == "Ann" else None)) for name in names]
    assert len(store.asked) < len(names)


def test_events_and_traces_have_what_the_model_saw(bundle: Path, store: FeatureServer) -> None:
    with (
        listening() as receiver,
        collecting() as collector,
        server(
            bundle, "--features-url", store.url, "--features-milliseconds", "250", "--events-url", receiver.url,
            "--traces", collector.url,
        ) as running,
    ):  # fmt: skip
        ask(running, SENT, SENT | {"name": "Bob"})
        [event] = wait_for_predictions(receiver, 1)
        assert event["inputs"]["age"] == [40, None]
        assert event["inputs"]["port"] == ["Q", "Q"]
        deadline = time.monotonic() + 10
        while not (found := [span for span in collector.spans if span.name == "look features up"]):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert (found[0].kind, found[0].error) == ("client", "")


def test_the_reasons_are_those_of_what_was_looked_up(bundle: Path, store: FeatureServer, tmp_path: Path) -> None:
    digest = json.loads((bundle / "bundle.json").read_text())["digest"]
    shutil.copytree(bundle, tmp_path / "bundles" / "tiny" / digest)
    with (
        explainer(tmp_path) as reasons,
        server(
            bundle, "--features-url", store.url, "--features-milliseconds", "250", "--explainer-url", reasons.url
        ) as running,
    ):  # fmt: skip
        url = f"{running.url}/api/v1.0/explain"
        whole = SENT | {"age": 40.0, "port": "Q", "alone": True}
        looked_up, sent = (call(url, ndarray(list(row.values()), names=list(row))) for row in (SENT, whole))
        assert looked_up.status == sent.status == 200, looked_up.body
        assert {**looked_up.json, "meta": 0} == {**sent.json, "meta": 0}


def test_rows_of_a_request_bring_the_same(running: Running) -> None:
    answer = call(f"{running.url}/api/v1.0/predictions", {"jsonData": [SENT, SENT | {"age": 3}]})
    assert answer.status == 400
    assert "row 2 brings other columns of the feature store than row 1" in answer.body.decode()
    wrong = call(f"{running.url}/api/v1.0/predictions", ndarray(["Ann", 9], names=["name", "class"]))
    assert wrong.status == 400
    assert "column class: 9 is none of" in wrong.body.decode()


def test_a_url_that_is_none_is_said_at_the_start(bundle: Path) -> None:
    said = pytest.raises(AssertionError, match="features_url is 'feast:6566': not an http or https URL")
    with said, server(bundle, "--features-url", "feast:6566"):
        pass


@pytest.mark.skipif(not FEAST.exists(), reason="needs Feast, which make infra-tools installs")
def test_feasts_own_server_answers_it(bundle: Path, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    script = Path(__file__).with_name("feast_serve.py")
    with log.open("wb") as output:
        feast = subprocess.Popen([FEAST, script, tmp_path, str(port)], cwd=tmp_path, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 60
        while not is_served(port):
            assert feast.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        url = f"http://127.0.0.1:{port}"
        with server(bundle, "--features-url", url, "--features-milliseconds", "5000") as running:
            asked = (("Ann", 1), ("Nil", 3), ("Bob", 2), ("Old", 2))
            rows = [SENT | {"name": name, "class": kind} for name, kind in asked]
            wanted = [expected(40, port="C"), expected(None), expected(None), expected(None)]
            assert ask(running, *rows).survived == pytest.approx(wanted, abs=1e-6)
            assert counted(running) == {
                "people found": 2, "people missing": 1, "people expired": 1, "classes found": 2, "classes missing": 2,
            }  # fmt: skip
    finally:
        feast.terminate()
        feast.wait()


def is_served(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0
