"""The explainer as a process: what it refuses, its queue, its deadline, and a server whose explainer is not there."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lifeboat.config.errors import SettingsError
from lifeboat.explainer.settings import read_settings
from tests.detector.world import add_bundle, people
from tests.explainer.world import RunningExplainer, explainer
from tests.ports import free_port
from tests.server.world import ROW, ROW_VALUES, Running, call, ndarray, server

MANY = people(100, seed=8)
EXPLAIN = {**ndarray(ROW_VALUES), "meta": {"tags": {"explain": True}}}


def many() -> dict[str, object]:
    return ndarray(*([row[name] for name in ROW] for row in MANY))


def test_it_counts_and_times_what_it_explains(store: Path, digest: str) -> None:
    with explainer(store) as running:
        assert running.ask(digest, *MANY[:3]).status == 200
        assert running.ask(digest, outputs=["nobody"]).status == 400
        found = running.metrics()
    assert found["lifeboat_explainer_rows_total"] == 3
    # Five columns: no more than 32 coalitions with each of 100 rows, and fewer where two rows are alike.
    assert 3 < found["lifeboat_explainer_model_rows_total"] <= 3 * 3200
    assert found['lifeboat_explainer_request_seconds_count{status="200"}'] == 1
    assert found['lifeboat_explainer_rejected_total{reason="bad"}'] == 1
    assert found["lifeboat_explainer_waiting_rows"] == 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"rows": 0}, "0 rows are to be explained, allowed are 1 to 100"),
        ({"rows": 101}, "101 rows are to be explained"),
        ({"rows": "1"}, "1 rows are to be explained"),
        ({"rows": 2}, "an input is no tensor of 2 values"),
        ({"seconds": 0}, "seconds is 0, allowed are more than 0 to 30"),
        ({"seconds": 31}, "seconds is 31"),
        ({"outputs": "survived"}, "outputs is not a list of names"),
        ({"outputs": ["nobody"]}, "there is no 'nobody'; there are died, survived"),
        ({"digest": "../../etc"}, "usecase and digest name no bundle"),
        ({"usecase": "a/b"}, "usecase and digest name no bundle"),
        ({"inputs": []}, "inputs is not a list of tensors"),
        ({"more": 1}, "the member more is not supported"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(
    running: RunningExplainer, digest: str, change: dict[str, object], sentence: str
) -> None:
    whole = {
        "usecase": "tiny", "digest": digest, "rows": 1,
        "inputs": [{"name": name, "data": [value]} for name, value in ROW.items()],
    }  # fmt: skip
    answer = call(running.url, {**whole, **change})
    assert answer.status == 400
    assert sentence in answer.info


def test_a_bundle_that_is_not_there_or_altered_is_not_explained(tmp_path: Path) -> None:
    digest = add_bundle(tmp_path)
    model = tmp_path / "bundles" / "tiny" / digest / "model.onnx"
    model.write_bytes(model.read_bytes() + b"x")
    with explainer(tmp_path) as running:
        altered = running.ask(digest)
        assert altered.status == 404
        assert "was altered" in altered.info
        assert running.ask("0" * 64).status == 404


def test_the_store_may_get_a_bundle_later(tmp_path: Path) -> None:
    with explainer(tmp_path) as running:
        other = add_bundle(tmp_path / "elsewhere")
        assert running.ask(other).status == 404
        add_bundle(tmp_path)
        deadline = time.monotonic() + 10
        while running.ask(other).status != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_models_that_were_not_asked_for_long_leave_the_memory(tmp_path: Path) -> None:
    digests = [add_bundle(tmp_path, window=window) for window in (200, 201, 202)]
    with explainer(tmp_path, "--max-models", "1") as running:
        for digest in (*digests, digests[0]):
            assert running.ask(digest).status == 200


def test_more_rows_than_may_wait_are_refused_with_a_time_to_come_back(store: Path, digest: str, bundle: Path) -> None:
    with explainer(store, "--max-waiting", "150") as running, server(bundle, "--explainer-url", running.url) as served:
        assert running.ask(digest).status == 200  # it is loaded by now
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(call, served.url + "/explain", many()) for _ in range(4)]
            found = [one.result() for one in asked]
        assert sorted({answer.status for answer in found}) == [200, 503]
        refused = next(answer for answer in found if answer.status == 503)
        assert "100 rows wait to be explained, the limit is 150" in refused.info
        assert 1 <= int(refused.headers["retry-after"]) <= 10
        counted = call(f"http://127.0.0.1:{served.metrics_port}/metrics").body.decode()
        assert 'lifeboat_rejected_total{reason="overload"} 3' in counted
        assert running.metrics()["lifeboat_explainer_waiting_rows"] == 0


def test_what_comes_too_late_is_said_at_the_deadline_and_not_worked_on(store: Path, digest: str, bundle: Path) -> None:
    with (
        explainer(store) as running,
        server(bundle, "--explainer-url", running.url, "--explain-seconds", "0.1") as served,
    ):
        assert running.ask(digest).status == 200
        late = call(served.url + "/explain", many())
        assert late.status == 504
        assert "no explanation within 0.1 s" in late.info
        deadline = time.monotonic() + 10
        while running.metrics()["lifeboat_explainer_waiting_rows"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        found = running.metrics()
        assert found["lifeboat_explainer_rows_total"] == 1
        assert found['lifeboat_explainer_rejected_total{reason="late"}'] == 1
        assert call(served.url + "/explain", ndarray(ROW_VALUES)).status == 200


def test_without_an_explainer_predictions_are_answered_and_reasons_are_not(bundle: Path, served: Running) -> None:
    with server(bundle) as alone:
        answer = call(alone.url + "/api/v1.0/explain", ndarray(ROW_VALUES))
        assert answer.status == 501
        assert "explainer_url" in answer.info
        assert call(alone.url + "/predict", ndarray(ROW_VALUES)).status == 200
    with server(bundle, "--explainer-url", f"http://127.0.0.1:{free_port()}/explain") as gone:
        for path in ("/api/v1.0/explain", "/predict"):
            answer = call(gone.url + path, EXPLAIN)
            assert answer.status == 503
            assert answer.info == "the explainer cannot be reached"
            assert answer.headers["retry-after"] == "1"
        assert call(gone.url + "/predict", ndarray(ROW_VALUES)).status == 200
        assert call(gone.url + "/ready").status == 200
    # What answers there is no explainer.
    with server(bundle, "--explainer-url", served.url + "/ready") as wrong:
        assert call(wrong.url + "/api/v1.0/explain", EXPLAIN).status in (405, 503)


def test_a_model_that_the_explainers_store_has_not_is_said_without_its_paths(tmp_path: Path, bundle: Path) -> None:
    with explainer(tmp_path) as running, server(bundle, "--explainer-url", running.url) as served:
        answer = call(served.url + "/explain", ndarray(ROW_VALUES))
    assert (answer.status, answer.info) == (503, "the explainer has not this model")


def test_predictions_are_answered_while_the_explainer_hangs(store: Path, digest: str, bundle: Path) -> None:
    with (
        explainer(store) as running,
        server(bundle, "--explainer-url", running.url, "--explain-seconds", "0.5") as served,
    ):
        running.process.send_signal(signal.SIGSTOP)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(call, served.url + "/explain", ndarray(ROW_VALUES))
            begun = time.monotonic()
            for _ in range(50):
                assert call(served.url + "/predict", ndarray(ROW_VALUES)).status == 200
            assert not waiting.done() or time.monotonic() - begun > 1
            assert waiting.result().status == 504
        running.process.send_signal(signal.SIGCONT)
        assert running.ask(digest).status == 200


def test_on_sigterm_what_was_asked_is_answered(store: Path, digest: str) -> None:
    with explainer(store) as running, ThreadPoolExecutor(1) as pool:
        assert running.ask(digest).status == 200
        asked = pool.submit(running.ask, digest, *MANY)
        while not running.metrics()["lifeboat_explainer_waiting_rows"]:
            time.sleep(0.005)
        assert running.stop() == 0
        assert asked.result().status == 200


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--port", "70000"], "a port is 0 to 65535"),
        (["--max-rows", "0"], "max_rows is 0"),
        (["--nice", "21"], "nice is 21, it must be 0 to 20"),
        (["--store", ""], "no store"),
    ],
)
def test_settings_that_cannot_be_are_refused(flags: list[str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        read_settings(["--store", "x", *flags], {})


@pytest.mark.parametrize(("nice", "policy", "priority"), [("10", 0, 10), ("20", 5, 0)])
def test_others_go_first(store: Path, nice: str, policy: int, priority: int) -> None:
    """Priority and policy of its first thread, as the system has them; 5 is SCHED_IDLE (proc(5), sched(7))."""
    with explainer(store, "--nice", nice) as running:
        stat = Path(f"/proc/{running.process.pid}/stat").read_text().rpartition(")")[2].split()
    assert (int(stat[38]), int(stat[16])) == (policy, priority)
