"""What a model server counts of its requests, from its metrics."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from lifeboat.system.histograms import quantile, uncumulated

_REQUESTS = "lifeboat_request_seconds"
# Not predictions: probes, pages and scrapes; and what waits for the explainer. The rules of alerts leave out the same.
_LEFT_OUT = ("explain", "other")


@dataclass(frozen=True)
class ServerFigures:
    """Since the server began.

    Args:
        requests: predictions it was asked for.
        failed: those not answered with 200.
        p50, p99: seconds that half, and 99 %, of the others took at most; None without any.
    """

    requests: int
    failed: int
    p50: float | None
    p99: float | None


def read_figures(text: str) -> ServerFigures:
    """Figures from the text that Prometheus scrapes.

    Raises:
        ValueError: it is none.
    """
    requests = failed = 0.0
    buckets: dict[str, float] = defaultdict(float)
    for family in text_string_to_metric_families(text):
        if family.name != _REQUESTS:
            continue
        for sample in family.samples:
            well = sample.labels.get("status") == "200"
            if sample.labels.get("protocol") in _LEFT_OUT:
                continue
            if sample.name.endswith("_count"):
                requests += sample.value
                failed += 0 if well else sample.value
            elif sample.name.endswith("_bucket") and well:
                buckets[sample.labels["le"]] += sample.value
    latency = uncumulated(buckets.items())
    return ServerFigures(round(requests), round(failed), quantile(latency, 0.5), quantile(latency, 0.99))
