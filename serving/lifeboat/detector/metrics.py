"""The metrics, made from the report each time they are asked for: what is counted is counted in one place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lifeboat.detector.performance.labels import MEANINGS
from lifeboat.http.series import CALLERS, CALLERS_HELP

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
STORAGE_UP = "lifeboat_drift_storage_up", "Whether the database can be written"
KINDS = ("prediction", "request", "response", "feedback", "other")
OF_VERSION = ("model", "version")
OF_FEATURE = (*OF_VERSION, "feature")
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
Gauges = dict[str, tuple[str, Callable[[dict[str, Any]], Any]]]
# Of a version: name, help, and the value in the report; None is left out.
VERSIONS: Gauges = {
    "lifeboat_drift_window_rows": ("Rows in the open window", lambda one: one["window"]["rows"]),
    "lifeboat_drift_alarm": ("Drift in as many windows as the use case asks for", lambda one: one["alarm"]),
    "lifeboat_drift_online_alarm": ("Drift of the score", lambda one: one["online"] and one["online"]["alarm"]),
    "lifeboat_live_rows": ("Rows with truth behind the live figures", lambda one: one["live"]["rows"]),
}  # fmt: skip
# Of a feature in the newest judged window.
FEATURES: Gauges = {
    "lifeboat_drift_effect": ("Effect size of what moved most", lambda feature: feature["effect"]["value"]),
    "lifeboat_drift_missing": ("Share of nulls", lambda feature: feature["missing"]["window"]),
    "seldon_metric_drift_is_drift": ("Whether it drifted", lambda feature: feature["drift"]),
    "seldon_metric_drift_distance": ("Statistic of what moved most", lambda feature: feature["distance"]),
    "seldon_metric_drift_p_val": ("Smallest p-value of its tests", lambda feature: feature["p_value"]),
    "seldon_metric_drift_threshold": ("p-value below which it drifted", lambda feature: feature["threshold"]),
}


class DetectorMetrics(Collector):
    """A registry of our own.

    Args:
        read: gives the report.
        counters: gives the counts.
    """

    def __init__(self, read: Callable[[], dict[str, Any]], counters: Callable[[], dict[str, int]]) -> None:
        self._read, self._counters = read, counters
        self._registry = CollectorRegistry()
        self._seconds = Histogram(
            "lifeboat_drift_judge_seconds", "Time of a judgement", registry=self._registry, buckets=SECONDS
        )
        self._callers = Counter(CALLERS, CALLERS_HELP, ["caller", "result"], registry=self._registry)
        self._registry.register(self)

    def tested(self, seconds: float) -> None:
        """A window was judged."""
        self._seconds.observe(seconds)

    def called(self, caller: str, result: str) -> None:
        """What became of a request of a caller: see `lifeboat.http.access`."""
        self._callers.labels(caller, result).inc()

    def render(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self._registry)

    def describe(self) -> list[Metric]:
        """Nothing: asking the database for names at registration would be early."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All but the histogram."""
        report, counters = self._read(), self._counters()
        yield from _totals(report, counters)
        models = [one for one in report["models"] if one["active"]]
        yield from _gauges(VERSIONS, OF_VERSION, [((one["model"], one["version"]), one) for one in models])
        yield from _live(models)
        features = [
            ((one["model"], one["version"], feature["name"]), feature)
            for one in models
            if one["latest"]
            for feature in one["latest"]["features"]
        ]
        yield from _gauges(FEATURES, OF_FEATURE, features)
        yield _windows(models)


def _totals(report: dict[str, Any], counters: dict[str, int]) -> Iterator[Metric]:
    events = report["events"]
    kinds = {kind: counters.get(f"events:{kind}", 0) for kind in KINDS}
    yield _counter("lifeboat_drift_events", "Events counted", "type", kinds)
    yield _counter("lifeboat_drift_refused", "Events of no use", "reason", events["refused"])
    meanings = {meaning: counters.get(f"truth:{meaning}", 0) for meaning in MEANINGS}
    yield _counter("lifeboat_feedback_rows", "Truths by what became of them", "result", meanings)
    yield CounterMetricFamily("lifeboat_drift_duplicates", "Events that came again", value=events["duplicates"])
    exported = report["feedback"]["exported"]
    yield CounterMetricFamily("lifeboat_labelled_rows", "Rows with truth written to the store", value=exported)
    yield GaugeMetricFamily("lifeboat_drift_waiting", "Events not folded in yet", value=events["waiting"])
    yield GaugeMetricFamily(
        "lifeboat_drift_held", "Predictions and feedback that wait for a bundle", value=events["held"]
    )
    if events["last"] is not None:
        name = "lifeboat_drift_last_event_timestamp_seconds"
        yield GaugeMetricFamily(name, "When the last event was folded in", value=events["last"])
    conflicts = GaugeMetricFamily(
        "lifeboat_label_conflicts",
        "Truths that contradict the table or one another and wait for somebody",
        labels=["model"],
    )
    for usecase, number in report["conflicts"].items():
        conflicts.add_metric([usecase], number)
    yield conflicts
    yield _held_since(report["held_since"])
    up = report["judge"]["state"] != "failed"
    yield GaugeMetricFamily(*STORAGE_UP, value=report["storage"]["up"])
    broken = report["storage"]["broken"]
    yield GaugeMetricFamily("lifeboat_drift_broken_databases", "Broken databases that were put aside", value=broken)
    yield GaugeMetricFamily("lifeboat_drift_judge_up", "Whether windows can be judged", value=up)


def _held_since(oldest: dict[str, Any]) -> Metric:
    """How old what is kept is: see docs/personal-data.md."""
    name = "lifeboat_held_since_timestamp_seconds"
    family = GaugeMetricFamily(name, "When the oldest row that is kept is of", labels=["what", "model"])
    if oldest["predictions"] is not None:
        family.add_metric(["predictions", ""], oldest["predictions"])
    for usecase, at in oldest["labelled_rows"].items():
        family.add_metric(["labelled rows", usecase], at)
    return family


def _counter(name: str, text: str, label: str, values: dict[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _gauges(gauges: Gauges, labels: tuple[str, ...], found: Sequence[tuple[tuple[str, ...], Any]]) -> Iterator[Metric]:
    for name, (text, value_of) in gauges.items():
        family = GaugeMetricFamily(name, text, labels=labels)
        for key, one in found:
            value = value_of(one)
            if value is not None:
                family.add_metric(key, float(value))
        yield family


def _live(models: list[dict[str, Any]]) -> Iterator[Metric]:
    """The live figures of each version, by their names: which there are, its kind of label says."""
    families: dict[str, GaugeMetricFamily] = {}

    def add(name: str, text: str, one: dict[str, Any], value: float | None) -> None:
        if value is not None:
            family = families.setdefault(name, GaugeMetricFamily(name, text, labels=OF_VERSION))
            family.add_metric([one["model"], one["version"]], float(value))

    for one in models:
        for place, figure in enumerate(one["live"]["figures"]):
            add(
                f"lifeboat_live_{figure['name']}",
                f"{figure['title']} on rows with truth",
                one,
                one["live"][figure["name"]],
            )
            if place == 0:
                limit = "Lowest" if figure["higher_is_better"] else "Highest"
                text = f"{limit} live {figure['title'].lower()}"
                add(f"lifeboat_live_{figure['name']}_bound", text, one, one["live"]["bound"])
    yield from families.values()


def _windows(models: list[dict[str, Any]]) -> Metric:
    family = CounterMetricFamily("lifeboat_drift_windows", "Closed windows", labels=[*OF_VERSION, "result"])
    for one in models:
        for result, number in one["judgements"].items():
            family.add_metric([one["model"], one["version"], result], number)
    return family
