"""What the server says about itself: OpenAPI, the page, metrics and logs."""

from __future__ import annotations

import json
import socket
from html.parser import HTMLParser
from pathlib import Path

from prometheus_client import parser

from lifeboat.system.pages.look import ICON
from tests.server.world import ROW_VALUES, Running, call, ndarray, server


def test_the_examples_of_the_openapi_document_are_answered(running: Running) -> None:
    document = call(running.url + "/openapi.json").json
    assert document["openapi"] == "3.1.0"
    for path, methods in document["paths"].items():
        if "get" in methods:
            assert call(running.url + path).status == 200
            continue
        reference = methods["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        schema = document["components"]["schemas"][reference.rpartition("/")[2]]
        assert call(running.url + path, schema["example"]).status == 200, path


def test_the_page_loads_nothing_from_elsewhere(running: Running) -> None:
    links: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
            links.extend(value or "" for name, value in attrs if name in ("src", "href"))

    answer = call(running.url + "/docs")
    assert answer.headers["content-type"].startswith("text/html")
    Links().feed(answer.body.decode())
    assert set(links) == {"openapi.json", ICON}
    assert '<th scope="row">age</th><td class="wide">a number, 0 to 120, or nothing</td>' in answer.body.decode()
    assert call(running.url + "/").body == answer.body


def test_metrics_can_be_parsed_and_count_what_happened(bundle: Path) -> None:
    with server(bundle, "--model-version", '3"\\') as running:
        for _ in range(10):
            call(running.url + "/predict", ndarray(ROW_VALUES, ["Bo", None, 90, 1, True]))
        call(running.url + "/predict", ndarray(["Bo", None, 900, 1, True]))
        call(running.url + "/nowhere")
        for line in (b"CONNECT a:80 HTTP/1.1", b"GET / HTTP/3.0"):
            with socket.create_connection(("127.0.0.1", int(running.url.rpartition(":")[2]))) as connection:
                connection.sendall(line + b"\r\nhost: a\r\n\r\n")
                assert connection.recv(12) in (b"HTTP/1.1 501", b"HTTP/1.1 505")
        call(running.url + "/send-feedback", {"truth": {"data": {"ndarray": [1]}}, "reward": 0.5})
        for url in (running.url + "/metrics", f"http://127.0.0.1:{running.metrics_port}/prometheus"):
            text = call(url).body.decode()
            samples = {
                (sample.name, *sorted(sample.labels.values())): sample.value
                for family in parser.text_string_to_metric_families(text)
                for sample in family.samples
            }
            assert samples["lifeboat_predictions_total", "died"] == 10
            assert samples["lifeboat_predictions_total", "survived"] == 10
            assert samples["lifeboat_score_count",] == 20
            assert samples["lifeboat_score_bucket", "0.3"] == 10
            assert samples["lifeboat_request_seconds_count", "200", "seldon"] == 11
            assert samples["lifeboat_request_seconds_bucket", "+Inf", "200", "seldon"] == 11
            assert samples["lifeboat_request_seconds_count", "400", "seldon"] == 1
            assert samples["lifeboat_request_seconds_count", "500", "v2"] == 0
            assert samples["lifeboat_rejected_total", "bad"] == 4
            assert samples["lifeboat_feedback_total", "survived"] == 1
            assert samples["lifeboat_feedback_reward_total",] == 0.5
            assert samples["lifeboat_in_flight",] == 1
            info = [key for key in samples if key[0] == "lifeboat_model_info"]
            assert '3"\\' in info[0]
            assert samples["lifeboat_process_resident_memory_bytes",] > 1e7
            assert samples["lifeboat_process_cpu_seconds_total",] > 0


def test_what_a_rate_is_taken_of_is_there_before_the_first_request(bundle: Path) -> None:
    """A canary is judged on the increase of these: one that begins at 20 has increased by nothing."""
    with server(bundle) as running:
        lines = call(running.url + "/metrics").body.decode().splitlines()
    assert "lifeboat_score_count 0" in lines
    assert 'lifeboat_score_bucket{le="0.5"} 0' in lines
    assert 'lifeboat_request_seconds_count{protocol="seldon",status="200"} 0' in lines


def test_logs_are_json_and_hold_no_row_unless_a_setting_says_so(bundle: Path) -> None:
    for flags in ([], ["--log-requests", "true"], ["--log-requests", "true", "--log-payloads", "true"]):
        with server(bundle, *flags) as running:
            call(running.url + "/predict", ndarray(["Ann Secret", "C", 22.5, 3, True]), seldon_puid="p7")
            call(running.url + "/predict", ndarray(["Ann Secret", "C", 900, 3, True]))
            running.stop()
            text = running.log.read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        requests = [line for line in lines if line["message"] == "request"]
        assert len(requests) == (2 if flags else 0)
        assert [line["request_id"] for line in requests[:1]] == (["p7"] if flags else [])
        assert ("Ann Secret" in text) == ("--log-payloads" in flags)
