"""The drift detector's settings: one frozen object, read once from flags, the environment and defaults.

A flag wins over the environment. Any setting can also come from `LIFEBOAT_DRIFT_` and its name in capitals; another
variable with that prefix is an error, since it is a mistyped one, and an empty one counts as unset.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from components.core.errors import SettingsError
from components.core.storage import S3
from serving.server.settings import Settings as Http

PREFIX = "LIFEBOAT_DRIFT_"
_WORDS = {"true": True, "1": True, "false": False, "0": False}
_MAY_BE_ZERO = ("port", "join_seconds", "late_seconds")


def _setting(default: Any, text: str, secret: bool = False) -> Any:
    return field(default=default, repr=not secret, metadata={"help": text})


@dataclass(frozen=True)
class Settings:
    """See each field's help."""

    store: str = _setting("", "directory or s3://bucket/prefix of the bundles and the labelled rows")
    s3_endpoint: str = _setting("https://s3.amazonaws.com", "URL of the S3 endpoint for s3:// addresses")
    s3_access_key: str = _setting("", "access key of the S3 endpoint")
    s3_secret_key: str = _setting("", "secret key of the S3 endpoint", secret=True)
    s3_region: str = _setting("", "region of the S3 endpoint, where it asks for one")
    database: str = _setting("drift.db", "path of the SQLite file; fetched bundles are kept beside it")
    host: str = _setting("127.0.0.1", "address to listen on")
    port: int = _setting(9010, "port to listen on")
    usecase: str = _setting("", "use case of every event, the event's model id unless set")

    max_body: int = _setting(16 * 1024 * 1024, "largest request body in bytes")
    max_rows: int = _setting(10_000, "largest number of rows in a prediction or a feedback")
    max_depth: int = _setting(100, "deepest nesting of JSON")
    max_connections: int = _setting(1024, "open connections; one more is answered 503")
    max_waiting: int = _setting(100_000, "events taken and not yet folded in; more are answered 503")
    request_seconds: float = _setting(10.0, "time for a request to arrive whole")
    drain_seconds: float = _setting(20.0, "time after which an ending detector leaves what is unanswered")

    join_seconds: float = _setting(60.0, "time that a request waits for its response, and the other way round")
    bundle_seconds: float = _setting(600.0, "time that a prediction waits for a bundle that cannot be fetched")
    max_ids: int = _setting(500_000, "ids of events remembered, so that a repeated one counts once")
    max_halves: int = _setting(50_000, "requests without response, and the other way round, that wait at most")
    max_versions: int = _setting(
        100, "versions of models known at a time; of more than half of it the silent ones are forgotten"
    )
    retention_seconds: float = _setting(30 * 86_400.0, "time that a prediction is kept for its truth")
    retention_rows: int = _setting(500_000, "predicted rows kept for their truth")
    history: int = _setting(200, "judged windows kept for each version")
    active_seconds: float = _setting(300.0, "time after which a version that is not heard of leaves the metrics")

    late_seconds: float = _setting(86_400.0, "time that a truth waits for its prediction")
    max_truths: int = _setting(100_000, "truths that wait for their prediction at most")
    live_rows: int = _setting(1_000, "rows with truth behind the live figures")
    export_seconds: float = _setting(10.0, "time between two writes of labelled rows to the store")
    export_rows: int = _setting(5_000, "labelled rows that are written without waiting for that time")

    reply_url: str = _setting("", "URL that is posted a CloudEvent for each judged window; none unless set")
    judge: str = _setting("serving.drift.judge", "Python module whose judge_window judges a window")
    judge_seconds: float = _setting(300.0, "time for the judgement of a window")
    log_requests: bool = _setting(False, "log one line a request, without its body")

    def __post_init__(self) -> None:
        for spec in fields(self):
            value = getattr(self, spec.name)
            if spec.name in _MAY_BE_ZERO or isinstance(value, bool | str):
                continue
            if not 0 < value < float("inf"):
                raise SettingsError(f"{spec.name} is {value}, it must be above 0")
        if not 0 <= self.port <= 65535:
            raise SettingsError(f"port is {self.port}, a port is 0 to 65535")
        if not self.store:
            raise SettingsError(f"no store: give --store or {PREFIX}STORE")

    @property
    def s3(self) -> S3:
        return S3(self.s3_endpoint, self.s3_access_key, self.s3_secret_key, self.s3_region)

    @property
    def http(self) -> Http:
        """What the listener and its connections read."""
        return Http(
            max_body=self.max_body,
            max_connections=self.max_connections,
            request_seconds=self.request_seconds,
            drain_seconds=self.drain_seconds,
        )


def read_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Makes the settings of a program.

    Raises:
        SettingsError: a variable is unknown or a value is not of its type.
        SystemExit: a flag is unknown (2) or help was asked for (0).
    """
    flags = vars(_parser().parse_args(arguments))
    texts = _from_environment(environment) | {name: text for name, text in flags.items() if text is not None}
    return Settings(
        **{
            spec.name: _convert(spec.name, texts[spec.name], spec.default)
            for spec in fields(Settings)
            if spec.name in texts
        }
    )


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    known = {PREFIX + spec.name.upper(): spec.name for spec in fields(Settings)}
    given = {name: text for name, text in environment.items() if name.startswith(PREFIX)}
    for name in sorted(given):
        if name not in known:
            raise SettingsError(f"{name} is no setting; the settings are {', '.join(sorted(known))}")
    return {known[name]: text for name, text in given.items() if text}


def _convert(name: str, text: str, default: Any) -> Any:
    if isinstance(default, bool):
        if text.lower() not in _WORDS:
            raise SettingsError(f"{name} is {text!r}, not true or false")
        return _WORDS[text.lower()]
    try:
        return type(default)(text)
    except ValueError:
        kind = "whole number" if isinstance(default, int) else "number"
        raise SettingsError(f"{name} is {text!r}, not a {kind}") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving.drift", description="Watch models by their events: drift, truth, live figures."
    )
    for spec in fields(Settings):
        text = f"{spec.metadata['help']} (default: {spec.default!r})".replace("%", "%%")
        parser.add_argument("--" + spec.name.replace("_", "-"), metavar=type(spec.default).__name__, help=text)
    return parser
