"""What Prometheus knows of one version's answers: counted by the digest that each model server gives of itself."""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass
from typing import Any

from lifeboat.config.errors import DeployError
from lifeboat.system.histograms import Histogram, uncumulated
from lifeboat.system.http_request import NoAnswerError, ask

SECONDS = 10.0
_INFO = 'max by (instance) (lifeboat_model_info{{digest="{digest}"}})'
_OF = "* on (instance) group_left () " + _INFO
_PREDICTIONS = 'protocol!~"explain|other"'
REQUESTS = f"sum by (status) (increase(lifeboat_request_seconds_count{{{{{_PREDICTIONS}}}}}[{{seconds}}s]) {_OF})"
LATENCY = (
    f'sum by (le) (increase(lifeboat_request_seconds_bucket{{{{{_PREDICTIONS},status="200"}}}}[{{seconds}}s]) {_OF})'
)
SCORES = f"sum by (le) (increase(lifeboat_score_bucket[{{seconds}}s]) {_OF})"


@dataclass(frozen=True)
class Sample:
    """What one version did within a time.

    Args:
        requests: predictions it was asked for.
        failed: those not answered with 200.
        latency: those answered with 200, per bucket of the time they took: its upper bound in seconds, and how many.
            The last bucket has no bound.
        scores: rows per bucket of the score, from the lowest bucket to the highest.
    """

    requests: float
    failed: float
    latency: Histogram
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
        total = sum(counts.values())
        latency, scores = (uncumulated(_pairs(self.ask(query.format(**asked)), "le")) for query in (LATENCY, SCORES))
        return Sample(total, total - counts.get("200", 0.0), latency, tuple(count for _, count in scores))

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The instant vector of a query; raises as `sample`."""
        address = f"{self._url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        try:
            answer = ask(address, seconds=SECONDS)
            if answer.status != 200:
                raise DeployError(f"Prometheus at {self._url} answered {answer.status}: {answer.shown}")
            vector: list[dict[str, Any]] = answer.json()["data"]["result"]
        except (NoAnswerError, ValueError, KeyError, TypeError) as error:
            raise DeployError(f"Prometheus at {self._url} gave no answer: {error}") from error
        return vector


def _pairs(vector: list[dict[str, Any]], label: str) -> list[tuple[str, float]]:
    """A label's value and the sample's, of each series."""
    return [(str(series["metric"].get(label, "")), float(series["value"][1])) for series in vector]
