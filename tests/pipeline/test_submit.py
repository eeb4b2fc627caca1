"""Submitting, against a stand-in for the Kubeflow Pipelines API over real HTTP: the real one needs a cluster."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

import pytest
from kfp.client.client import _extract_pipeline_yaml

from lifeboat.cli.main import main
from lifeboat.config.errors import PipelineError, SettingsError
from lifeboat.config.settings import Settings
from lifeboat.pipeline.compile import compile_pipeline
from lifeboat.pipeline.submit import submit
from tests.ports import free_port

TOKEN = "eyJ.a-token.that-nobody-may-see"  # the point of these tests
ARGUMENTS = {"usecase": "titanic", "data": "s3://rows/train.csv", "seed": 3}


class StandIn(ThreadingHTTPServer):
    """Answers what submitting asks of the API, below /pipeline, and keeps the requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.experiments: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []
        self.recurring: list[dict[str, Any]] = []
        self.failure: tuple[int, bytes] | None = None
        self.refused: tuple[str, str] = ("", "")  # method and path that alone fail
        self.loses_answers = False  # takes a run and hangs up

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/pipeline"

    def settings(self, **chosen: str) -> Settings:
        return Settings(**{"kfp_host": self.url, **chosen})  # type: ignore[arg-type]

    @property
    def run(self) -> Any:
        return next(body for method, path, _, body in self.requests if (method, path) == ("POST", RUNS))


EXPERIMENTS, RUNS = "/pipeline/apis/v2beta1/experiments", "/pipeline/apis/v2beta1/runs"
RECURRING = "/pipeline/apis/v2beta1/recurringruns"


class Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_GET(self) -> None:
        self._take(None)
        server = self.server
        lists = {EXPERIMENTS: ("experiments", server.experiments), RUNS: ("runs", server.runs)}
        lists[RECURRING] = ("recurringRuns", server.recurring)
        if self._path in lists:
            name, every = lists[self._path]
            self._answer({name: [item for item in every if self._is_wanted(item)]})
        else:
            self._answer(next((run for run in server.runs if self._path == f"{RUNS}/{run['run_id']}"), None))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"] or 0)) or b"null")
        self._take(body)
        server = self.server
        created: Any = None
        if self._path == EXPERIMENTS:
            created = {"experiment_id": "e-1", **body}
        elif self._path == RUNS:
            created = {"run_id": f"r-{len(server.runs) + 1}", "state": "PENDING", **body}
            if server.failure is None and not self._is_refused:
                server.runs.append(created)
        elif self._path == RECURRING:
            number = sum((method, path) == ("POST", RECURRING) for method, path, _, _ in server.requests)
            created = {"recurring_run_id": f"s-{number}", **body}
            server.recurring.append(created)
        elif self._path.endswith(":terminate"):
            created = {}
        elif self._path.endswith(":disable"):
            for item in server.recurring:
                if self._path == f"{RECURRING}/{item['recurring_run_id']}:disable":
                    created = {}
                    item["mode"] = "DISABLE"
        if not (self._path == RUNS and server.loses_answers):
            self._answer(created)

    def do_DELETE(self) -> None:
        self._take(None)
        known = [item for item in self.server.recurring if self._path == f"{RECURRING}/{item['recurring_run_id']}"]
        if not self._is_refused:
            self.server.recurring = [item for item in self.server.recurring if item not in known]
        self._answer({} if known else None)

    @property
    def _is_refused(self) -> bool:
        method, path = self.server.refused
        return method == self.command and self._path.startswith(path)

    def _is_wanted(self, item: dict[str, Any]) -> bool:
        """By the filter that every one of our lists has."""
        [text] = parse_qs(urlsplit(self.path).query)["filter"]
        predicates = json.loads(text)["predicates"]
        assert {predicate["key"] for predicate in predicates} in ({"display_name"}, {"recurring_run_id", "state"})
        values = {
            predicate["key"]: [predicate["stringValue"]]
            if predicate["operation"] == "EQUALS"
            else predicate["stringValues"]["values"]
            for predicate in predicates
        }
        return all(item.get(key) in allowed for key, allowed in values.items())

    @property
    def _path(self) -> str:
        return urlsplit(self.path).path

    def _take(self, body: Any) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        headers["query"] = urlsplit(self.path).query
        self.server.requests.append((self.command, self._path, headers, body))

    def _answer(self, document: Any) -> None:
        status, content = self.server.failure or (200, json.dumps(document).encode())
        if self._is_refused:
            status, content = 503, b'{"message": "not today"}'
        if document is None and not self.server.failure:
            status, content = 404, b'{"message": "no such path"}'
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def api() -> Iterator[StandIn]:
    with StandIn() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@contextmanager
def silent_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield int(listening.getsockname()[1])


@pytest.mark.parametrize("pages", ["https://pipelines.example.org", "https://pipelines.example.org/"])
def test_the_page_of_a_run_is_where_people_open_it(api: StandIn, pages: str) -> None:
    """A program in the cluster reaches the API by a name that no browser knows."""
    found = submit(api.settings(kfp_pages=pages), "registry/image@sha256:1", ARGUMENTS)
    assert found == "https://pipelines.example.org/#/runs/details/r-1"


def test_the_run_carries_arguments_and_the_compiled_pipeline(api: StandIn, tmp_path: Path) -> None:
    assert submit(api.settings(), "registry/image@sha256:1", ARGUMENTS) == f"{api.url}/#/runs/details/r-1"
    compile_pipeline(tmp_path / "pipeline.yaml", "registry/image@sha256:1")
    assert api.run["runtime_config"]["parameters"] == ARGUMENTS
    # What kfp's own client would send.
    assert api.run["pipeline_spec"] == _extract_pipeline_yaml(str(tmp_path / "pipeline.yaml")).to_dict()
    assert api.run["experiment_id"] == "e-1"


def test_an_experiment_that_exists_is_used(api: StandIn) -> None:
    api.experiments = [{"experiment_id": "e-7", "display_name": "lifeboat"}]
    submit(api.settings(), "image", ARGUMENTS)
    assert [(method, path) for method, path, *_ in api.requests] == [("GET", EXPERIMENTS), ("POST", RUNS)]
    assert api.run["experiment_id"] == "e-7"
    query = parse_qs(api.requests[0][2]["query"])
    assert json.loads(query["filter"][0])["predicates"][0]["stringValue"] == "lifeboat"
    assert "namespace" not in query


def test_a_namespace_reaches_the_experiment(api: StandIn) -> None:
    submit(api.settings(kfp_namespace="team-a"), "image", ARGUMENTS)
    assert parse_qs(api.requests[0][2]["query"])["namespace"] == ["team-a"]
    assert api.requests[1][3]["namespace"] == "team-a"


@pytest.mark.parametrize("source", ["variable", "file"])
def test_the_token_is_a_bearer_header_of_every_request(api: StandIn, tmp_path: Path, source: str) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    chosen = {"kfp_token": TOKEN} if source == "variable" else {"kfp_token_file": str(file), "kfp_token": "another"}
    submit(api.settings(**chosen), "image", ARGUMENTS)
    assert len(api.requests) == 3
    assert {headers["authorization"] for _, _, headers, _ in api.requests} == {f"Bearer {TOKEN}"}


def test_without_a_token_no_authorization_is_sent(api: StandIn) -> None:
    submit(api.settings(), "image", ARGUMENTS)
    assert not any("authorization" in headers for _, _, headers, _ in api.requests)


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (401, b"", r"401 Unauthorized$"),
        (403, b'{"message": "no right to\\nlist runs", "code": 7}', r"403 Forbidden: no right to list runs$"),
        (500, b"<html>oops</html>", r"500 Internal Server Error$"),
        (200, b"<html>a login page</html>", r"what answers there is not the Kubeflow Pipelines API$"),
        (200, b"[]", r"what answers there is not the Kubeflow Pipelines API$"),
        (200, b"{}", r"what answers there is not the Kubeflow Pipelines API$"),
    ],
)
def test_a_refusal_is_one_sentence_with_the_apis_reason(api: StandIn, status: int, body: bytes, sentence: str) -> None:
    api.failure = (status, body)
    with pytest.raises(PipelineError, match=sentence) as caught:
        submit(api.settings(kfp_token=TOKEN), "image", ARGUMENTS)
    assert str(caught.value).startswith(f"{api.url} did not take the run: ")
    assert "\n" not in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_a_wrong_path_is_named_as_such(api: StandIn) -> None:
    with pytest.raises(PipelineError, match="did not take the run: 404 Not Found: no such path"):
        submit(api.settings(kfp_host=api.url.removesuffix("/pipeline")), "image", ARGUMENTS)


def test_an_unreachable_host_is_reported_at_once() -> None:
    url, start = f"http://127.0.0.1:{free_port()}", time.monotonic()
    with pytest.raises(PipelineError) as caught:
        submit(Settings(kfp_host=url), "image", ARGUMENTS)
    assert str(caught.value) == f"{url} did not take the run: it does not answer: [Errno 111] Connection refused"
    assert time.monotonic() - start < 5


def test_a_host_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lifeboat.pipeline.submit.ANSWER_SECONDS", 1)
    with silent_port() as port, pytest.raises(PipelineError, match=r"it does not answer: .*timed out"):
        submit(Settings(kfp_host=f"http://127.0.0.1:{port}"), "image", ARGUMENTS)


@pytest.mark.parametrize("host", ["localhost:8080", "ftp://kubeflow", "kubeflow", "http://"])
def test_a_host_that_is_no_url_is_refused(host: str) -> None:
    with pytest.raises(SettingsError, match="is no http or https URL"):
        submit(Settings(kfp_host=host), "image", ARGUMENTS)


def test_without_a_host_the_sentence_says_how_to_give_one() -> None:
    with pytest.raises(SettingsError, match="--host URL or LIFEBOAT_KFP_HOST"):
        submit(Settings(), "image", ARGUMENTS)


@pytest.mark.parametrize("content", [b"two words", b"two\nlines", b"caf\xc3\xa9", b"\xff\xfe", b"a\x00b"])
def test_what_is_no_token_is_refused_unseen(api: StandIn, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"token holds no token") as caught:
        submit(api.settings(kfp_token_file=str(file)), "image", ARGUMENTS)
    assert content.decode(errors="replace") not in str(caught.value)
    assert api.requests == []


def test_a_token_file_that_is_empty_or_missing_is_named(api: StandIn, tmp_path: Path) -> None:
    file = tmp_path / "token"
    with pytest.raises(SettingsError, match="token cannot be read: No such file"):
        submit(api.settings(kfp_token_file=str(file)), "image", ARGUMENTS)
    file.write_text("\n")
    with pytest.raises(SettingsError, match="token is empty"):
        submit(api.settings(kfp_token_file=str(file)), "image", ARGUMENTS)


@pytest.fixture
def command(tmp_path: Path) -> Iterator[None]:
    """An environment of its own for `main`, which adds to the process's; with a home that must stay empty."""
    with patch.dict(os.environ, {"HOME": str(tmp_path), "LIFEBOAT_KFP_TOKEN": TOKEN}):
        yield


@pytest.mark.usefixtures("command")
def test_the_command_prints_the_url_and_nothing_else(
    api: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--data", "s3://rows/a.csv", "--seed", "5", "--require", "roc_auc>=0.9", "--namespace", "team-a"]
    assert main(["submit", "--host", api.url, "--home", str(tmp_path / "state"), *flags]) == 0
    assert capsys.readouterr() == (f"{api.url}/#/runs/details/r-1\n", "")
    assert api.run["runtime_config"]["parameters"] == {
        "usecase": "titanic",
        "data": "s3://rows/a.csv",
        "seed": 5,
        "extra_gates": "roc_auc>=0.9",
        "target": "kubernetes",
        "reason": "manual",
        "labelled": True,
        "as_of": "",
        "begin_anew": "",
    }
    assert api.requests[0][2]["authorization"] == f"Bearer {TOKEN}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("command")
def test_a_moment_is_submitted_in_its_one_form(api: StandIn, tmp_path: Path) -> None:
    flags = ["--host", api.url, "--home", str(tmp_path / "state"), "--as-of"]
    assert main(["submit", *flags, "2025-11-20T13:00:00+01:00"]) == 0
    assert api.run["runtime_config"]["parameters"]["as_of"] == "2025-11-20T12:00:00Z"
    before = len(api.requests)
    assert main(["submit", *flags, "2025-11-20", "--cron", "0 4 * * 1"]) == 1
    assert len(api.requests) == before


@pytest.mark.usefixtures("command")
def test_the_commands_failure_is_one_line_without_the_token(
    api: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api.failure = (401, b"")
    assert main(["submit", "--host", api.url, "--home", str(tmp_path)]) == 1
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors == f"lifeboat: {api.url} did not take the run: 401 Unauthorized\n"
