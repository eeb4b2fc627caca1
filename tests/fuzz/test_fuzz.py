"""What the fuzzer finds in the servers, and whether it would find what is wrong."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz import wire
from tests.fuzz.case import DETECTOR, KINDS, MODEL, Case, Facts, Part
from tests.fuzz.figures import MIB
from tests.fuzz.grammar import Grammar
from tests.fuzz.oracles import Oracles, check_answer
from tests.fuzz.processes import Held, read_errors
from tests.fuzz.run import DESCRIPTORS, GROWTH, Run
from tests.fuzz.wire import Talk, Wire
from tests.fuzz.world import running
from tests.http.framing import Answer

REQUESTS, SEED = 20_000, "20"
# So many requests of each kind, and answers of each status, a run must have, or the grammar has rotted.
LEAST_OF_A_KIND = 1_500
LEAST_OF_A_STATUS = {
    100: 100, 200: 15_000, 400: 4_000, 404: 200, 405: 100, 408: 3, 413: 5, 415: 100, 421: 10, 431: 3, 501: 30, 505: 20,
}  # fmt: skip
DIGEST = "d" * 64
TAGS = {"model_name": "tiny", "model_version": "3", "bundle_digest": DIGEST}
OWN = "0123456789abcdef" * 2
FIELDS = {"date": "x", "content-length": "1", "content-type": "application/json"}
ROW = {"name": "Ann", "port": "Q", "age": 22.5}
PROBABILITIES = 0.775, 0.225


def test_nothing_is_found_in_twenty_thousand_requests(tmp_path: Path) -> None:
    with running(tmp_path) as world:
        run = Run(world, SEED, range(REQUESTS), REQUESTS // 2)
        run.run()
        run.check()
    figures = run.figures
    print(figures.summary())
    assert [finding.describe(SEED) for finding in figures.findings] == []
    assert figures.requests == REQUESTS
    assert {kind: number for kind, number in figures.cases.items() if number < LEAST_OF_A_KIND} == {}
    assert set(figures.cases) == set(KINDS)
    rare = {status: figures.statuses[status] for status, least in LEAST_OF_A_STATUS.items()}
    assert {status: number for status, number in rare.items() if number < LEAST_OF_A_STATUS[status]} == {}
    assert figures.predicted > 0.4
    assert figures.rows > 5_000


def test_a_request_is_made_of_seed_and_index_alone() -> None:
    facts = Facts(DIGEST, "t" * 32, {})
    forwards = [Grammar("a", facts).case(index).content for index in range(300)]
    again = Grammar("a", facts)
    assert [again.case(index).content for index in reversed(range(300))] == forwards[::-1]
    assert Grammar("b", facts).case(0).content != forwards[0]


def seldon(**changed: Any) -> Answer:
    """The right answer to ROW, or another one."""
    document = {
        "data": {"names": ["died", "survived"], "ndarray": [list(PROBABILITIES)]},
        "meta": {"puid": OWN, "tags": TAGS},
    }
    document |= {name: changed.pop(name) for name in ("data", "meta") if name in changed}
    right = Answer(200, {**FIELDS, "seldon-puid": OWN}, json.dumps(document).encode())
    return replace(right, **changed)


def judge(*answers: Answer, part: Part | None = None) -> str | None:
    """What the oracles say of a prediction of ROW."""
    text = json.dumps({"jsonData": ROW}).encode()
    parts = [part or Part("seldon", 200, text)] * len(answers)
    return Oracles(TAGS, lambda _: PROBABILITIES).judge(Case("seldon", "json", MODEL, b"", parts), answers)


def rows(*pairs: list[float]) -> dict[str, Any]:
    return {"names": ["died", "survived"], "ndarray": list(pairs)}


def test_the_right_answer_is_right() -> None:
    assert judge(seldon()) is None


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (seldon(data=rows([0.225, 0.775])), "row 1 is answered [0.225, 0.775], alone (0.775, 0.225)"),
        (seldon(data=rows([0.7750001, 0.2249999])), "row 1 is answered"),
        (seldon(data=rows([0.775, 0.225], [0.775, 0.225])), "2 rows are answered, 1 were asked"),
        (seldon(data=rows()), "0 rows are answered"),
        (seldon(data={"names": ["survived", "died"], "ndarray": [[0.775, 0.225]]}), "the classes are"),
        (seldon(meta={"puid": "another", "tags": TAGS}), "the answer is called 'another'"),
        (seldon(meta={"puid": OWN, "tags": {}}), "the tags are {}"),
        (seldon(headers={**FIELDS, "seldon-puid": "7"}), "the server's own puid is '7'"),
        (seldon(headers={"seldon-puid": OWN}), "there is no header date"),
        (seldon(body=b"{}"), "the answer cannot be read"),
        (seldon(status=500), "answered 500, due is 200"),
        (seldon(status=400), "answered 400, due is 200"),
    ],
)
def test_a_wrong_answer_is_found(wrong: Answer, problem: str) -> None:
    assert problem in str(judge(wrong))


def test_a_puid_that_is_given_twice_is_found() -> None:
    assert judge(seldon(), seldon()) == f"the puid {OWN} is given twice"


def test_a_puid_that_is_not_carried_back_is_found() -> None:
    part = Part("seldon", 200, json.dumps({"jsonData": ROW}).encode(), puid=b"mine")
    assert judge(seldon(), part=part) == f"the header Seldon-Puid is {OWN!r}, sent was 'mine'"


def test_an_answer_to_what_is_no_prediction_is_found() -> None:
    part = Part("seldon", None, b'{"jsonData": {"name": 1, "name": 2}}')
    assert "a prediction is given for what is none" in str(judge(seldon(), part=part))


def test_a_request_without_an_answer_is_found() -> None:
    part = Part("seldon", 200, b"{}")
    case = Case("seldon", "json", MODEL, b"", [part, part])
    assert Oracles(TAGS, lambda _: 200).judge(case, [seldon()]) == "1 answers to 2 requests: [200]"


def test_two_framings_of_one_request_that_are_answered_otherwise_are_found() -> None:
    parts = [Part("plain", 200, same=1), Part("plain", 200, same=1)]
    answers = [Answer(200, FIELDS, b"a"), Answer(200, FIELDS, b"b")]
    said = Oracles(TAGS, lambda _: 200).judge(Case("framing", "twice", MODEL, b"", parts), answers)
    assert said == "the same request is answered b'a' and b'b'"


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        (500, b"{}", "answered 500"),
        (503, b"{}", "answered 503"),
        (302, b"", "answered 302"),
        (400, b"{}", "has not the form of an error"),
        (400, b"no json", "has not the form of an error"),
        (400, b'{"error": "of the other protocol"}', "has not the form of an error"),
        (200, b"Traceback (most recent call last)", "there is a traceback"),
        (405, b"{}", "a 405 allows None"),
    ],
)
def test_an_answer_of_a_form_that_is_none_is_found(status: int, body: bytes, problem: str) -> None:
    assert problem in str(check_answer(DETECTOR, "events", Answer(status, FIELDS, body), head=False))


@contextmanager
def liar(talk: Callable[[socket.socket], None]) -> Iterator[socket.socket]:
    """A connection to a server that does what `talk` does."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=lambda: talk(listening.accept()[0]))
        thread.start()
        link = wire.connect(listening.getsockname()[1])
        try:
            yield link
        finally:
            link.close()
            thread.join()


def sent(link: socket.socket, seconds: float = 20.0) -> Talk:
    """One request, and what came of it."""
    done: list[Talk] = []
    talk = Talk(link, [b"GET / HTTP/1.1\r\n\r\n"], 1, lambda _: False, False, done.append)
    talk.deadline = time.monotonic() + seconds
    loop = Wire()
    loop.begin(talk)
    while not done:
        loop.turn(0.05)
    loop.close()
    return talk


def test_a_server_that_hangs_is_found() -> None:
    with liar(lambda link: link.close() if link.recv(100) and link.recv(100) else None) as link:
        assert "no answer within" in sent(link, 0.2).problem


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", "an answer has no length"),
        (b"garbage\r\n\r\n", "what came is no answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx: 1\r\nx: 2\r\n\r\n", "an answer has a field twice"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n" * 2, "2 answers to 1 requests"),
    ],
)
def test_bytes_that_are_no_answer_are_found(answer: bytes, problem: str) -> None:
    with liar(lambda link: link.sendall(answer)) as link:
        assert problem in sent(link).problem


def test_a_connection_that_is_closed_without_an_answer_is_found() -> None:
    with liar(lambda link: link.close()) as link:
        talk = sent(link)
        assert (talk.closed, talk.answers) == (True, [])


class Still:
    """Servers of which nothing is true but what a test says."""

    def __init__(self, after: dict[str, Held], **said: Any) -> None:
        held = {name: Held((number, number + 10), 50 * MIB, 50 * MIB, 30) for number, name in enumerate(GROWTH)}
        self.before, self.after = held, held | after
        self.facts = Facts(DIGEST, "t", dict.fromkeys(GROWTH, 9))
        self.tags, self.logs, self.detector, self.said = TAGS, {}, self, said

    def held(self) -> dict[str, Held]:
        return self.after

    def ready(self) -> dict[str, int]:
        return dict.fromkeys(GROWTH, 200) | self.said.get("ready", {})

    def report(self) -> dict[str, Any]:
        return {"models": [{"version": "sound", "rows": self.said.get("rows", 0)}]}

    def metrics(self) -> dict[str, float]:
        counted = {'lifeboat_drift_events_total{type="request"}': 0.0, "lifeboat_drift_duplicates_total": 0.0}
        return counted | self.said.get("metrics", {})


def checked(world: Still) -> list[str]:
    """What is found at the end of a run in which nothing was sent."""
    run = Run(world, SEED, range(1), 1)  # type: ignore[arg-type]  # it is asked for no more than this has
    run.figures.before = run.figures.warm = world.before
    run.check()
    return [finding.problem for finding in run.figures.findings]


def test_servers_that_are_as_they_were_are_right() -> None:
    assert checked(Still({})) == []


@pytest.mark.parametrize(
    ("world", "problem"),
    [
        (Still({MODEL: Held((0, 10), 0, 50 * MIB + GROWTH[MODEL] + 1, 30)}), "model has grown by 16.0 MB"),
        (Still({DETECTOR: Held((1, 11), 0, 50 * MIB, 31 + DESCRIPTORS)}), "detector had 30 descriptors"),
        (Still({MODEL: Held((0, 12), 0, 50 * MIB, 30)}), "model: the processes were (0, 10), they are (0, 12)"),
        (Still({"trigger": Held((7,), 0, 50 * MIB, 30)}), "trigger: the processes were"),
        (Still({}, ready={DETECTOR: 503}), "detector is not ready: 503"),
        (Still({}, rows=1), "0 rows of intact predictions were sent, the windows hold 1"),
        (Still({}, metrics={"lifeboat_drift_duplicates_total": 1.0}), "0 events were acknowledged, 0 and 1 duplicates"),
        (
            Still({}, metrics={'lifeboat_drift_refused_total{reason="internal error"}': 2.0}),
            "2 events were lost by an error of the detector's own",
        ),
    ],
)
def test_servers_that_are_not_as_they_were_are_found(
    world: Still, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.fuzz.run.SETTLE_SECONDS", 0.0)
    (found,) = checked(world)
    assert found.startswith(problem)


def test_a_traceback_in_a_log_is_found(tmp_path: Path) -> None:
    log = tmp_path / "log"
    right = {"level": "error", "message": "1 events wait for 1 bundles that are not here"}
    log.write_text(f'{{"level": "info"}}\n{json.dumps(right)}\n')
    assert read_errors(log) == []
    for line in ("Traceback (most recent call last):", '{"level": "error", "message": "x"}', "a word"):
        log.write_text(f"{line}\n")
        assert read_errors(log) == [line]
