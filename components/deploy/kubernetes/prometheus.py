"""What Prometheus knows of one version's answers: counted by the digest that each model server gives of itself."""

from __future__ import annotations

import json
import math
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

from components.core.errors import DeployError

SECONDS = 10.0
_INFO = 'max by (instance) (lifeboat_model_info{{digest="{digest}"}})'
_OF = "* on (instance) group_left () " + _INFO
_PREDICTIONS = 'protocol=~"seldon|v2"'
REQUESTS = f"sum by (status) (increase(lifeboat_request_seconds_count{{{{{_PREDICTIONS}}}}}[{{seconds}}s]) {_OF})"
LATENCY = (
    "histogram_quantile(0.99, sum by (le) (increase(lifeboat_request_seconds_bucket"
    f'{{{{{_PREDICTIONS},status="200"}}}}[{{seconds}}s]) {_OF}))'
)
SCORES = f"sum by (le) (increase(lifeboat_score_bucket[{{seconds}}s]) {_OF})"


@dataclass(frozen=True)
class Sample:
    """What one version did within a time.

    Args:
        requests: predictions it was asked for.
        failed: those not answered with 200.
        p99: seconds, of those answered with 200; None where there are none.
        scores: rows per bucket of the score, from the lowest bucket to the highest.
    """

    requests: float
    failed: float
    p99: float | None
    scores: tuple[float, ...]


class Prometheus:
    """Asks a Prometheus server.

    Args:
        url: of it, without a path.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def sample(self, digest: str, seconds: int) -> Sample:
        """What the version of a digest did in the last seconds.

        Raises:
            DeployError: Prometheus gives no answer.
        """
        asked = {"digest": digest, "seconds": seconds}
        counts = dict(_pairs(self.ask(REQUESTS.format(**asked)), "status"))
        latency = [value for _, value in _pairs(self.ask(LATENCY.format(**asked)), "") if math.isfinite(value)]
        total = sum(counts.values())
        buckets = _pairs(self.ask(SCORES.format(**asked)), "le")
        return Sample(total, total - counts.get("200", 0.0), latency[0] if latency else None, _unpiled(buckets))

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The instant vector of a query; raises as `sample`."""
        address = f"{self._url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        try:
            with urllib.request.urlopen(address, timeout=SECONDS) as response:  # noqa: S310  # an http URL by setting
                vector: list[dict[str, Any]] = json.load(response)["data"]["result"]
        except urllib.error.HTTPError as error:
            detail = error.read(500).decode(errors="replace")
            raise DeployError(f"Prometheus at {self._url} answered {error.code}: {detail}") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DeployError(f"Prometheus at {self._url} gave no answer: {error}") from error
        return vector


def _pairs(vector: list[dict[str, Any]], label: str) -> list[tuple[str, float]]:
    """A label's value and the sample's, of each series."""
    return [(str(series["metric"].get(label, "")), float(series["value"][1])) for series in vector]


def _unpiled(buckets: list[tuple[str, float]]) -> tuple[float, ...]:
    """Counts per bucket from cumulative ones."""
    piled = [count for _, count in sorted((float(bound), count) for bound, count in buckets)]
    return tuple(max(0.0, upper - lower) for lower, upper in zip([0.0, *piled], piled, strict=False))
