"""Judging a challenger from samples, and samples from what Prometheus answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from lifeboat.config.errors import DeployError
from lifeboat.deploy.kubernetes.analysis import (
    Comparison,
    distance,
    errors,
    latency,
    measurement,
    objections,
    scores,
    summary,
    too_few,
    watch,
)
from lifeboat.deploy.kubernetes.plan import Limits, Pace, RolloutPlan
from lifeboat.deploy.kubernetes.prometheus import Prometheus, Sample
from lifeboat.deploy.measured import MeasuredNote
from lifeboat.deploy.timeline import RolloutTimeline
from lifeboat.system.histograms import quantile

LIMITS = Limits(requests=200, error_ratio=0.01, latency_ratio=1.5, latency_seconds=0.05, score_distance=0.2)
INF = float("inf")


def took(usual: float, hiccups: float = 0, of: float = 1000) -> tuple[tuple[float, float], ...]:
    """So many of the answers took two seconds, the others as long as usual; in buckets of that very time."""
    return ((usual - 1e-9, 0.0), (usual, of - hiccups), (2.0 - 1e-9, 0.0), (2.0, hiccups), (INF, 0.0))


def sample(
    requests: float = 1000,
    failed: float = 0,
    latency: tuple[tuple[float, float], ...] = took(0.01),
    scores: tuple[float, ...] = (500, 500),
) -> Sample:
    return Sample(requests, failed, latency, scores)


def test_a_challenger_like_the_champion_passes() -> None:
    assert objections(sample(), sample(), LIMITS) == []


@pytest.mark.parametrize(("champion", "challenger"), [(199, 200), (200, 199), (0, 0)])
def test_too_few_requests_of_either_are_no_ground(champion: float, challenger: float) -> None:
    found = too_few(sample(champion), sample(challenger), LIMITS)
    name = "champion" if champion < 200 else "challenger"
    assert found == f"not enough traffic: the {name} had {min(champion, challenger):.0f} of 200 requests"


def test_enough_requests_of_both_are_enough() -> None:
    assert too_few(sample(200), sample(200), LIMITS) is None


@pytest.mark.parametrize(
    ("failed", "of", "champion", "breaks"),
    [
        (100, 1000, 0, True),
        (10, 1000, 0, False),  # one in a hundred is allowed
        (15, 1000, 0, False),  # chance alone makes that of one in a hundred
        (5, 100, 0, True),
        (60, 1000, 50, False),  # the champion fails five in a hundred as well: bad requests
        (100, 1000, 50, True),
    ],
)
def test_failed_requests(failed: float, of: float, champion: float, breaks: bool) -> None:
    found = errors(sample(1000, champion), sample(of, failed), LIMITS)
    assert bool(found) is breaks
    if found:
        assert found.startswith(f"it failed {failed} of {of} requests ({failed / of:.1%})")


@pytest.mark.parametrize(
    ("champion", "challenger", "breaks"),
    [
        (0.1, 0.2, True),
        (0.1, 0.149, False),
        (0.001, 0.05, False),  # fast enough, whatever the ratio
        (0.001, 0.051, True),
    ],
)
def test_latency(champion: float, challenger: float, breaks: bool) -> None:
    found = latency(sample(latency=took(champion)), sample(latency=took(challenger)), LIMITS)
    assert bool(found) is breaks
    if found:
        allowed = max(1.5 * champion, 0.05)
        assert found == (
            f"its p99 is {1000 * challenger:.1f} ms; the champion's is {1000 * champion:.1f} ms, "
            f"and {1000 * allowed:.1f} ms are allowed"
        )


def test_without_answers_there_is_no_latency_to_judge() -> None:
    assert latency(sample(latency=()), sample(latency=took(1.9)), LIMITS) is None
    assert latency(sample(latency=took(0.1)), sample(latency=()), LIMITS) is None


def test_a_hiccup_of_the_champion_hides_no_slow_challenger() -> None:
    slow = sample(latency=took(0.1, of=100))
    assert "its p95 is 100.0 ms" in str(latency(sample(latency=took(0.002, 5, of=100)), slow, LIMITS))


@pytest.mark.parametrize(
    ("hiccups", "of", "breaks"), [(5, 100, False), (6, 100, True), (10, 1000, False), (11, 1000, True)]
)
def test_hiccups_of_the_challenger(hiccups: float, of: float, breaks: bool) -> None:
    """Five of a hundred are chance, ten of a thousand are one in a hundred."""
    found = latency(sample(latency=took(0.002, of=of)), sample(latency=took(0.002, hiccups, of)), LIMITS)
    assert bool(found) is breaks


def test_a_quantile_is_that_of_prometheus() -> None:
    """Figures of `histogram_quantile` over these buckets, from its definition."""
    buckets = ((0.1, 10.0), (0.2, 0.0), (0.4, 20.0), (INF, 10.0))
    assert quantile(buckets, 0.25) == pytest.approx(0.1)
    assert quantile(buckets, 0.5) == pytest.approx(0.3)
    assert quantile(buckets, 0.75) == pytest.approx(0.4)
    assert quantile(buckets, 0.99) == pytest.approx(0.4)
    assert quantile((), 0.5) is None


@pytest.mark.parametrize(
    ("champion", "challenger", "breaks"),
    [
        ((50000, 50000), (20000, 80000), True),
        ((50000, 50000), (31000, 69000), False),
        ((10, 10), (4, 16), False),  # 20 rows say nothing
        ((0, 0), (5, 5), False),
    ],
)
def test_scores(champion: tuple[float, ...], challenger: tuple[float, ...], breaks: bool) -> None:
    assert bool(scores(sample(scores=champion), sample(scores=challenger), LIMITS)) is breaks


def test_the_distance_is_the_largest_gap_of_the_cumulative_shares() -> None:
    assert distance((1, 1, 2), (2, 2, 0)) == pytest.approx(0.5)
    assert distance((3, 3), (1, 1)) == 0


def test_every_objection_is_named() -> None:
    bad = sample(1000, 500, took(1.9), (0, 1000))
    found = objections(sample(), bad, LIMITS)
    assert [words.split()[1] for words in found] == ["failed", "p99", "scores"]


def test_the_summary_gives_the_figures() -> None:
    assert summary(sample(), sample(500, 5, took(0.02))) == (
        "500 requests, 1.0% failed (champion 0.0%), p99 20.0 ms (champion 10.0 ms), distance of the scores 0.00"
    )


def test_a_step_that_passed_is_measured_beside_the_champion_and_what_was_asked() -> None:
    found = measurement("At 10 %", Comparison(sample(), sample(500, 5, took(0.02))), LIMITS)
    assert found.passed
    shown = {figure.name: (figure.new, figure.old, figure.limit) for figure in found.figures}
    assert shown["Requests"][:2] == ("500", "1000")
    assert shown["Failed"] == ("1.0%", "0.0%", f"at most {LIMITS.error_ratio:.1%}, but for chance")
    assert shown["50 % answered within"][0] == "20.0 ms"
    assert shown["99 % answered within"][:2] == ("20.0 ms", "10.0 ms")
    assert shown["Distance of the scores"][0] == "0.00"


def test_a_step_that_was_broken_has_its_figures_and_the_objections_on_the_page() -> None:
    bad = Comparison(sample(), sample(500, 250), ("it failed 250 of 500 requests <all>",))
    said: list[str] = []
    kept: list[str] = []
    with RolloutTimeline("Rollout", said.append, lambda page, _: kept.append(page)) as course:
        course.note(MeasuredNote("version 2 is sent back", measurement("Version 2 at 10 %", bad, LIMITS)))
    assert said == ["version 2 is sent back"]
    [page] = kept
    for words in ("Version 2 at 10 %", "not passed", "it failed 250 of 500 requests &lt;all&gt;", "50.0%", "at least"):
        assert words in page


class Told(Prometheus):
    """Gives the samples of a test, one after the other, by digest."""

    def __init__(self, **samples: list[Sample | DeployError]) -> None:
        super().__init__("http://127.0.0.1:9")
        self._samples = samples

    def sample(self, digest: str, seconds: int) -> Sample:
        given = self._samples[digest]
        found = given.pop(0) if len(given) > 1 else given[0]
        if isinstance(found, DeployError):
            raise found
        return found


def plan(window: int = 0, patience: int = 0) -> RolloutPlan:
    return RolloutPlan("canary", (10,), window, patience, LIMITS, Pace(poll=0.001))


def test_failed_requests_end_the_watch_before_its_window_is_over() -> None:
    found = watch(Told(old=[sample()], new=[sample(0), sample(1000, 500)]), "old", "new", plan(60, 60))
    assert found.problem.startswith("it failed 500 of 1000 requests")


def test_too_little_traffic_is_an_objection_with_the_figures_there_were() -> None:
    found = watch(Told(old=[sample()], new=[sample(3)]), "old", "new", plan())
    assert found.problem.startswith("not enough traffic: the challenger had 3 of ")
    assert found.challenger.requests == 3


def test_prometheus_may_be_away_for_a_while_but_not_for_all_of_it() -> None:
    away = DeployError("Prometheus gave no answer")
    told = Told(old=[away, sample()], new=[sample()])
    assert watch(told, "old", "new", plan(0, 60)).problem == ""
    with pytest.raises(DeployError, match="gave no answer, in 0 s"):
        watch(Told(old=[away], new=[sample()]), "old", "new", plan())


@pytest.fixture
def answers() -> Iterator[tuple[str, dict[str, Any]]]:
    """A server that gives for a metric the vector it is told to; anything else is a 422, as Prometheus says it."""
    given: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)["query"][0]
            vector = next((value for metric, value in given.items() if metric in query), None)
            body = {"data": {"result": vector}} if vector is not None else {"error": "bad query"}
            self.send_response(200 if vector is not None else 422)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            """No line for each request."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", given
    server.shutdown()
    server.server_close()


def series(value: str, **labels: str) -> dict[str, Any]:
    return {"metric": labels, "value": [0, value]}


def test_a_sample_is_made_of_three_queries(answers: tuple[str, dict[str, Any]]) -> None:
    url, given = answers
    given["request_seconds_count"] = [series("90.5", status="200"), series("9.5", status="500")]
    given["request_seconds_bucket"] = [series("90.5", le="+Inf"), series("20", le="0.01"), series("90.5", le="0.1")]
    given["lifeboat_score_bucket"] = [series("100", le="+Inf"), series("30", le="0.1"), series("90", le="0.9")]
    assert Prometheus(url).sample("abc", 60) == Sample(100, 9.5, ((0.01, 20), (0.1, 70.5), (INF, 0)), (30, 60, 10))


def test_a_version_without_series_has_an_empty_sample(answers: tuple[str, dict[str, Any]]) -> None:
    url, given = answers
    given.update({"request_seconds_count": [], "request_seconds_bucket": [], "lifeboat_score_bucket": []})
    assert Prometheus(url).sample("abc", 60) == Sample(0, 0, (), ())


def test_a_refusal_of_prometheus_is_passed_on(answers: tuple[str, dict[str, Any]]) -> None:
    with pytest.raises(DeployError, match="answered 422: .*bad query"):
        Prometheus(answers[0]).sample("abc", 60)


def test_no_prometheus_is_an_error_in_words() -> None:
    with pytest.raises(DeployError, match=r"Prometheus at http://127\.0\.0\.1:9 gave no answer"):
        Prometheus("http://127.0.0.1:9/").sample("abc", 60)
