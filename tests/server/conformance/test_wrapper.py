"""Our server beside Seldon's wrapper 1.17.1 with `LifeboatModel`: the same bundle, the same requests.

Runs in the environment of the dependency group `wrapper` (`make conformance`); elsewhere it is skipped. Known
differences beside those in the table: we always give a puid and, with it, the header Seldon-Puid; the
wrapper lists the request's tags before its own as we do, but takes `meta` from JSON only where it is there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.ports import free_port
from tests.server.conformance.table import CASES, NAMES, OBJECT, ROW, Case
from tests.server.world import ROOT, Running, call, make_bundle, server

seldon_client = pytest.importorskip(
    "seldon_core.seldon_client", reason="needs the environment of Seldon's wrapper: `make conformance`"
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("conformance") / "tiny")


@pytest.fixture(scope="module")
def ours(tiny: Path) -> Iterator[Running]:
    with server(tiny, "--model-version", "3") as running:
        yield running


@pytest.fixture(scope="module")
def wrapper(tiny: Path) -> Iterator[str]:
    """URL of the wrapper."""
    port, metrics_port, grpc_port = free_port(), free_port(), free_port()
    texts = {"bundle": str(tiny), "model_version": "3"}
    parameters = [{"name": name, "type": "STRING", "value": value} for name, value in texts.items()]
    program = Path(sys.executable).with_name("seldon-core-microservice")
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PREDICTIVE_UNIT_METRICS_SERVICE_PORT": str(metrics_port),
    }
    process = subprocess.Popen(
        [
            str(program), "lifeboat.server.wrapper.LifeboatModel", "--single-threaded", "1",
            "--http-port", str(port), "--grpc-port", str(grpc_port), "--metrics-port", str(metrics_port),
            "--parameters", json.dumps(parameters),
        ],
        cwd=ROOT, env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url)
        yield url
    finally:
        os.killpg(process.pid, 15)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            assert call(url + "/health/ping").body == b"pong"
        except OSError:
            assert time.monotonic() < deadline, "the wrapper did not start"
            time.sleep(0.2)
        else:
            return


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_give_the_same_answer_but_where_the_table_says_why_not(ours: Running, wrapper: str, case: Case) -> None:
    mine, theirs = (
        call(url + case.path, case.body, case.method, content_type=case.content_type) for url in (ours.url, wrapper)
    )
    assert mine.status == case.status, mine.body
    assert theirs.status == (case.wrapper_status or case.status), theirs.body
    if case.wrapper_status is None:
        _compare(mine.json, theirs.json)


def _compare(mine: dict[str, Any], theirs: dict[str, Any]) -> None:
    if "status" in theirs:
        for document in (mine, theirs):
            document["status"].pop("info")
        assert mine == theirs
        return
    assert mine["data"].keys() == theirs["data"].keys()
    assert mine["data"]["names"] == theirs["data"]["names"]
    for form in ("ndarray", "tensor"):
        if form in mine["data"]:
            assert _flat(mine["data"][form]) == pytest.approx(_flat(theirs["data"][form]), abs=1e-6)
    if "puid" not in theirs["meta"]:
        mine["meta"].pop("puid")
    theirs["meta"].pop("requestPath", None)
    assert mine["meta"] == theirs["meta"]


def _flat(form: Any) -> list[float]:
    values: list[float] = np.ravel(form["values"] if isinstance(form, dict) else form).tolist()
    return values


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)


def test_health_metadata_and_feedback_are_there_in_both(ours: Running, wrapper: str) -> None:
    truth = {"request": {"data": {"ndarray": [ROW]}}, "truth": {"data": {"ndarray": [1]}}, "reward": 1.0}
    for url in (ours.url, wrapper):
        assert call(url + "/health/ping").body == b"pong"
        assert call(url + "/health/status").status == 200
        assert call(url + "/api/v1.0/feedback", truth).status == 200
    mine, theirs = (call(url + "/metadata").json for url in (ours.url, wrapper))
    assert mine == theirs


@pytest.mark.parametrize("payload_type", ["ndarray", "tensor"])
@pytest.mark.parametrize("which", ["ours", "wrapper"])
def test_seldons_own_client_is_answered(ours: Running, wrapper: str, which: str, payload_type: str) -> None:
    endpoint = (ours.url if which == "ours" else wrapper).removeprefix("http://")
    client = seldon_client.SeldonClient(microservice_endpoint=endpoint, gateway_endpoint=endpoint)
    # The client's tensors hold numbers only, so the model is asked as far as its first string.
    rows = np.array([ROW], object) if payload_type == "ndarray" else np.array([[22.5, 3.0]])
    names = NAMES if payload_type == "ndarray" else ["age", "class"]
    answer = client.microservice(data=rows, names=names, transport="rest", method="predict", payload_type=payload_type)
    if payload_type == "tensor":
        assert not answer.success
        assert "column name: missing" in str(answer.response) + str(answer.msg)
        return
    assert answer.success, answer.msg
    assert list(answer.response.data.names) == ["died", "survived"]


@pytest.mark.parametrize("gateway", ["seldon", "ambassador", "istio"])
@pytest.mark.parametrize("which", ["ours", "wrapper"])
def test_seldons_own_client_is_answered_as_by_a_gateway(ours: Running, wrapper: str, which: str, gateway: str) -> None:
    endpoint = (ours.url if which == "ours" else wrapper).removeprefix("http://")
    client = seldon_client.SeldonClient(gateway=gateway, transport="rest", gateway_endpoint=endpoint)
    rows = np.array([ROW], object)
    for inputs in ({"data": rows, "names": NAMES, "payload_type": "ndarray"}, {"json_data": OBJECT}):
        answer = client.predict(gateway_prefix="", client_return_type="dict", **inputs)
        assert answer.success, answer.msg
        data = answer.response["data"]
        assert _flat(data.get("ndarray") or data["tensor"]) == pytest.approx([0.765, 0.235])
