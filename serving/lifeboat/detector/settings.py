"""The drift detector's settings: one frozen object, read once from flags, the environment and defaults.

`config.options` says how.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lifeboat.config.errors import SettingsError
from lifeboat.config.observed import ObservedSettings
from lifeboat.config.options import check_numbers, option, read_program
from lifeboat.config.pseudonyms import Pseudonyms, read_pseudonyms
from lifeboat.config.sources import ANONYMOUS, trusted_sources
from lifeboat.http.access import TOKENS, UNGUARDED
from lifeboat.http.limits import ListenerLimits
from lifeboat.registry.storage import S3Settings
from lifeboat.system.addresses import is_loopback

PREFIX = "LIFEBOAT_DRIFT_"
# In its log and its traces.
SERVICE = "drift-detector"
_MAY_BE_ZERO = ("port", "descriptor", "join_seconds", "late_seconds", "trace_share")


@dataclass(frozen=True)
class DetectorSettings(ObservedSettings, S3Settings):
    """See each field's help."""

    store: str = option("", "directory or s3://bucket/prefix of the bundles and the labelled rows")
    database: str = option("drift.db", "path of the SQLite file; fetched bundles are kept beside it")
    host: str = option("127.0.0.1", "address to listen on")
    port: int = option(9010, "port to listen on")
    tokens: str = option("", TOKENS)
    open: bool = option(False, UNGUARDED)
    descriptor: int = option(0, "number of an inherited socket that has the address already; none if 0")
    events_path: str = option("", "path that takes events besides / and /events: a name of its own for each detector")
    home_url: str = option("", "URL of the page that leads to all others, for a link to it; none unless set")
    usecase: str = option("", "use case of every event, the event's model id unless set")

    max_body: int = option(4 * 1024 * 1024, "largest request body in bytes, that of a binary event")
    max_rows: int = option(10_000, "largest number of rows in a prediction or a feedback")
    max_depth: int = option(100, "deepest nesting of JSON")
    max_connections: int = option(1024, "open connections; one more is answered 503")
    max_waiting: int = option(100_000, "events taken and not yet folded in; more are answered 503")
    max_waiting_bytes: int = option(512 * 1024 * 1024, "bytes of them; more are answered 503")
    request_seconds: float = option(10.0, "time for a request to arrive whole")
    drain_seconds: float = option(20.0, "time after which an ending detector leaves what is unanswered")

    join_seconds: float = option(60.0, "time that a request waits for its response, and the other way round")
    bundle_seconds: float = option(600.0, "time that a prediction waits for a bundle that cannot be fetched")
    max_ids: int = option(500_000, "ids of events remembered, so that a repeated one counts once")
    max_halves: int = option(50_000, "requests without response, and the other way round, that wait at most")
    max_halves_bytes: int = option(256 * 1024 * 1024, "bytes of them; beyond either the oldest go")
    max_held: int = option(
        10_000, "predictions and feedback that wait for a bundle at most, half of them for one; beyond it the oldest go"
    )
    max_held_bytes: int = option(64 * 1024 * 1024, "bytes that wait for a bundle at most, half of them for one")
    max_versions: int = option(100, "versions with a closed window, and versions shown, at most")
    max_newcomers: int = option(
        10_000,
        "versions without a closed window at most; beyond it those that brought least and are silent are forgotten",
    )
    retention_seconds: float = option(30 * 86_400.0, "time that a prediction is kept for its truth")
    retention_rows: int = option(500_000, "predicted rows kept for their truth")
    history: int = option(200, "judged windows kept for each version")
    active_seconds: float = option(300.0, "time after which a version that is not heard of leaves the metrics")

    trusted_sources: str = option(
        "",
        "sources of truth that are taken at their word, with commas between them, or none; "
        f"unless set {ANONYMOUS} on a loopback address, and nobody elsewhere",
    )
    max_sources: int = option(1_000, "sources of truth known; a truth of one more is refused, unless it is trusted")
    late_seconds: float = option(86_400.0, "time that a truth waits for its prediction")
    max_truths: int = option(100_000, "truths that wait for their prediction at most")
    live_rows: int = option(1_000, "rows with truth behind the live figures")
    export_seconds: float = option(10.0, "time between two writes of labelled rows to the store")
    export_rows: int = option(5_000, "labelled rows that are written without waiting for that time")

    personal_key: str = option("", "the key itself by which pseudonyms are made, for a cluster", secret=True)
    personal_key_file: str = option(
        "", "file with the key by which pseudonyms of personal keys are made; unless set none of such a key is kept"
    )

    forget_seconds: float = option(10.0, "time between two looks into the store for somebody to forget")

    reply_url: str = option("", "URL that is posted a CloudEvent for each judged window; none unless set")
    judge: str = option("lifeboat.detector.drift_test", "Python module whose run_drift_test tests a window")
    judge_seconds: float = option(300.0, "time for the judgement of a window")
    judge_rate: float = option(
        2.0, "windows of a version judged a second over time; a burst of 100 is judged whole, of more some are skipped"
    )
    log_requests: bool = option(False, "log one line a request, without its body")

    def __post_init__(self) -> None:
        check_numbers(self, _MAY_BE_ZERO)
        self.check_observed()
        trusted_sources(self.trusted_sources, private=True)  # a name that is none is said now
        if not self.store:
            raise SettingsError(f"no store: give --store or {PREFIX}STORE")

    @property
    def trusted(self) -> frozenset[str]:
        """The sources that are taken at their word."""
        return trusted_sources(self.trusted_sources, private=is_loopback(self.host))

    @property
    def pseudonyms(self) -> Pseudonyms:
        """Those of personal keys; raises SettingsError where there is no such key."""
        return read_pseudonyms(self.personal_key_file, self.personal_key)

    def usecase_of(self, model: str) -> str:
        """The use case whose bundles a model's are."""
        return self.usecase or model

    @property
    def listener_limits(self) -> ListenerLimits:
        """Those of its listener."""
        return ListenerLimits.of(self)


def read_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> DetectorSettings:
    """Makes the settings of the program; raises as `read_program`."""
    parser = argparse.ArgumentParser(
        prog="python -m lifeboat.detector", description="Watch models by their events: drift, truth, live figures."
    )
    return read_program(DetectorSettings, PREFIX, parser, arguments, environment)
