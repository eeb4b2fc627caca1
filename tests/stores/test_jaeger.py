"""A real Jaeger takes what the model server sends, and finds it by the command of docs/observability.md."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cluster.go import Program
from tests.detector.world import add_bundle, people, request_of
from tests.explainer.world import explainer
from tests.ports import free_port
from tests.server.world import call, server
from tests.tracing.test_find import script

JAEGER = Program("jaeger", "github.com/jaegertracing/jaeger", "1.76.0", "cmd/all-in-one", "")
# As its own go.mod has it, which counts for nobody who builds it from outside.
REPLACED = "replace github.com/Shopify/sarama => github.com/Shopify/sarama v1.33.0\n"
PARTS = (
    "collector.otlp.http", "collector.otlp.grpc", "collector.grpc-server", "collector.http-server", "query.grpc-server",
    "query.http-server", "admin.http",
)  # fmt: skip


@contextmanager
def jaeger(folder: Path) -> Iterator[tuple[str, str]]:
    """Where it takes traces, and where it shows them."""
    ports = {part: free_port() for part in PARTS}
    flags = [f"--{part}.host-port=127.0.0.1:{port}" for part, port in ports.items()]
    with (folder / "jaeger.log").open("wb") as log:
        process = subprocess.Popen([JAEGER.build(REPLACED), *flags], stdout=log, stderr=log)
    try:
        _until_it_answers(f"http://127.0.0.1:{ports['admin.http']}/", folder / "jaeger.log")
        yield tuple(f"http://127.0.0.1:{ports[part]}" for part in ("collector.otlp.http", "query.http-server"))
    finally:
        process.kill()
        process.wait()


def _until_it_answers(url: str, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if call(url).status == 200:
                return
        except urllib.error.URLError:
            pass
        time.sleep(0.1)
    raise AssertionError(log.read_text()[-3000:])


def _find(pages: str, puid: str) -> list[dict[str, Any]]:
    environment = {**os.environ, "JAEGER": pages, "PUID": puid}
    done = subprocess.run(["bash", "-euc", script()[1]], env=environment, capture_output=True, text=True, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)["data"]
    return found


def test_jaeger_shows_a_prediction_with_its_reasons_as_one_trace(tmp_path: Path) -> None:
    store = tmp_path / "store"
    bundle = store / "bundles" / "tiny" / add_bundle(store)
    with jaeger(tmp_path) as (traces, pages):
        with (
            explainer(store, "--traces", traces) as reasons,
            server(bundle, "--traces", traces, "--explainer-url", reasons.url) as serving,
        ):
            asked = {**request_of(people(1)), "meta": {"tags": {"explain": True}}}
            said = call(serving.url + "/predict", asked)
            assert said.status == 200
            assert (serving.stop(), reasons.stop()) == (0, 0)
        puid = said.json["meta"]["puid"]
        (trace,) = _find(pages, puid)
        assert _find(pages, "nobody") == []
    names = {span["spanID"]: span["operationName"] for span in trace["spans"]}
    services = {name: one["serviceName"] for name, one in trace["processes"].items()}
    edges = {
        (services[span["processID"]], span["operationName"], names.get(_parent(span), "")) for span in trace["spans"]
    }
    assert edges == {
        ("model-server", "POST /predict", ""),
        ("model-server", "ask for reasons", "POST /predict"),
        ("explainer", "POST /explain", "ask for reasons"),
        ("explainer", "explain", "POST /explain"),
        ("model-server", "run the model", "POST /predict"),
    }
    assert said.headers["traceresponse"].split("-")[1] == trace["traceID"]


def _parent(span: dict[str, Any]) -> str:
    return next((one["spanID"] for one in span["references"] if one["refType"] == "CHILD_OF"), "")
