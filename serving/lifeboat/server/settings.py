"""The model server's settings: one frozen object, read once from flags, the environment and defaults.

`config.options` says how. A field's metadata holds its help and, where Seldon sets one, the name of Seldon's variable,
which gives way to ours.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from lifeboat.config.errors import SettingsError
from lifeboat.config.observed import ObservedSettings
from lifeboat.config.options import add_flags, from_environment, given_flags, option, parse_texts
from lifeboat.config.tokens import Limits
from lifeboat.http.access import TOKENS, UNGUARDED
from lifeboat.http.limits import ListenerLimits

PREFIX = "LIFEBOAT_SERVER_"
# In its log and its traces.
SERVICE = "model-server"
# What a program of the server puts into its environment, unless the user says otherwise, before it imports what reads
# it: no telemetry; and gRPC would log as an error that a server which ends takes no more connections.
LIBRARIES = {"ORT_DISABLE_TELEMETRY": "1", "GRPC_VERBOSITY": "NONE"}
# Characters of the names that stand in each answer, in labels of metrics and in events, as the detector takes them.
LONGEST = {"model_name": 128, "model_version": 128, "deployment": 253, "predictor": 253, "namespace": 253}
# Seconds that a connection of gRPC lives at least: each costs its client a round trip and us about a millisecond.
LEAST_AGE = 0.1


def _setting(default: Any, text: str, seldon: str = "") -> Any:
    return option(default, text, seldon=seldon)


@dataclass(frozen=True)
class ServerSettings(ObservedSettings):
    """See each field's help."""

    bundle: str = _setting("", "directory of the bundle to serve")
    host: str = _setting("0.0.0.0", "address to listen on")  # noqa: S104  # a container serves its pod's address
    port: int = _setting(9000, "port of the predictions", "PREDICTIVE_UNIT_HTTP_SERVICE_PORT")
    grpc_port: int = _setting(
        0, "port of the predictions over gRPC; none unless set (Seldon's is 9500)", "PREDICTIVE_UNIT_GRPC_SERVICE_PORT"
    )
    metrics_port: int = _setting(6000, "port of the metrics", "PREDICTIVE_UNIT_METRICS_SERVICE_PORT")
    metrics_path: str = _setting(
        "/prometheus", "path of the metrics besides /metrics", "PREDICTIVE_UNIT_METRICS_ENDPOINT"
    )
    model_name: str = _setting("", "name of the model, the use case's unless set", "PREDICTIVE_UNIT_ID")
    model_version: str = _setting("", "version of the model, the start of its digest unless set")
    max_body: int = _setting(4 * 1024 * 1024, "largest request body in bytes")
    max_rows: int = _setting(10_000, "largest number of rows in a request")
    max_depth: int = _setting(100, "deepest nesting of JSON")
    max_connections: int = _setting(1024, "open connections at a time; one more is answered 503")
    max_pending: int = _setting(256, "requests that wait at a time; one more is answered 503")
    request_seconds: float = _setting(ListenerLimits.request_seconds, "time for a request to arrive whole")
    keep_alive_seconds: float = _setting(ListenerLimits.keep_alive_seconds, "time an idle connection is kept")
    drain_idle_seconds: float = _setting(
        ListenerLimits.drain_idle_seconds, "time an idle connection is kept while the server drains"
    )
    drain_seconds: float = _setting(
        ListenerLimits.drain_seconds, "time after which a draining server ends whatever is unanswered"
    )
    grpc_connection_seconds: float = _setting(
        5.0, "age at which a connection of gRPC ends, its calls answered, so that its client finds another server"
    )
    spin_us: int = _setting(
        ListenerLimits.spin_us,
        "microseconds to poll on after a request instead of sleeping; for a pod with a core to itself, which it burns",
    )
    trace_callers: float = _setting(
        50.0, "requests a second, at most, that are traced because their caller's traceparent says so; 0 for none"
    )
    explainer_url: str = _setting("", "URL that gives the reasons of answers; nobody is asked for any unless set")
    explain_seconds: float = _setting(
        8.0, "time that the reasons of an answer may take, less than the 10 s that Seldon's executor waits"
    )
    features_url: str = _setting(
        "",
        "URL of a feature server by Feast's contract, asked for stored columns that a request leaves out; nobody is "
        "asked unless set",
    )
    features_milliseconds: float = _setting(
        20.0, "time that an answer of the feature server may take; what does not come is null"
    )
    home_url: str = _setting("", "URL of the page that leads to all others, for the server's own; none unless set")
    log_requests: bool = _setting(False, "log one line a request, as at the level debug")
    log_payloads: bool = _setting(False, "let request and response bodies into the log")

    subject_header: str = _setting(
        "",
        "header in which a mesh's sidecar passes on whom it has verified, whose truths and figures these are; none is "
        "believed unless set",
    )
    tokens: str = _setting("", TOKENS)
    open: bool = _setting(False, UNGUARDED)
    token_file: str = _setting(
        "", "file with this server's own token, by which it brings events and asks for reasons; none unless set"
    )
    requests_per_minute: int = _setting(
        0, "requests that a name may send in a minute, unless its token says; 0 for all"
    )
    rows_per_minute: int = _setting(0, "rows that it may have predicted in a minute; 0 for all")
    truths_per_hour: int = _setting(0, "truths that it may send in an hour; 0 for all")
    cors_origins: str = _setting(
        "",
        "origins whose pages may read the answers, such as https://desk.example,http://localhost:3000; none unless set",
    )
    events_url: str = _setting("", "URL that takes each prediction as CloudEvents; none are sent unless set")
    events_by_executor: bool = _setting(
        False, "whether Seldon's executor sends the events; only what it forgets is sent then: feedback over gRPC"
    )
    events_buffer: int = _setting(20_000, "predictions and feedback that wait for their receiver at most")
    events_bytes: int = _setting(32 * 1024 * 1024, "bytes of events that wait at most")
    deployment: str = _setting("lifeboat", "name of the deployment, for events", "SELDON_DEPLOYMENT_ID")
    predictor: str = _setting("default", "name of the predictor, for events", "PREDICTOR_ID")
    namespace: str = _setting("default", "namespace of the deployment, for events")

    def __post_init__(self) -> None:
        self.check_observed()
        for name in ("max_body", "max_rows", "max_depth", "max_connections", "max_pending"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}, the least is 1")
        if self.grpc_connection_seconds < LEAST_AGE:
            raise SettingsError(
                f"grpc_connection_seconds is {self.grpc_connection_seconds:g}, the least is {LEAST_AGE:g}"
            )
        if not 0 < self.explain_seconds < float("inf"):
            raise SettingsError(f"explain_seconds is {self.explain_seconds:g}, it must be above 0")
        if not 0 < self.features_milliseconds < float("inf"):
            raise SettingsError(f"features_milliseconds is {self.features_milliseconds:g}, it must be above 0")
        _ = self.caller_limits  # a number that is none is said now
        if self.spin_us < 0:
            raise SettingsError(f"spin_us is {self.spin_us}, the least is 0")
        for name, longest in LONGEST.items():
            if len(getattr(self, name)) > longest:
                raise SettingsError(f"{name} has {len(getattr(self, name))} characters, the limit is {longest}")
        for name in ("port", "metrics_port", "grpc_port"):
            if not 0 <= getattr(self, name) <= 65535:
                raise SettingsError(f"{name} is {getattr(self, name)}, a port is 0 to 65535")

    @property
    def caller_limits(self) -> Limits:
        """What a name may ask for; raises SettingsError."""
        return Limits(self.requests_per_minute, self.rows_per_minute, self.truths_per_hour)

    @property
    def listener_limits(self) -> ListenerLimits:
        """Those of its listener."""
        return ListenerLimits.of(self)


def read_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> ServerSettings:
    """Makes the settings of a program.

    Raises:
        SettingsError: a variable is unknown or a value is not of its type.
        SystemExit: a flag is unknown (2) or help was asked for (0).
    """
    parser = argparse.ArgumentParser(prog="python -m lifeboat.server", description="Serve one bundle over HTTP.")
    add_flags(parser, ServerSettings, PREFIX)
    flags = given_flags(ServerSettings, vars(parser.parse_args(arguments)))
    chosen = _seldons(environment) | from_environment(ServerSettings, PREFIX, environment) | flags
    if not chosen.get("bundle"):
        raise SettingsError("no bundle: give --bundle DIR or LIFEBOAT_SERVER_BUNDLE")
    return from_texts(chosen)


def _seldons(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings that Seldon's variables give."""
    found = {spec.name: environment.get(spec.metadata.get("seldon", "")) for spec in fields(ServerSettings)}
    return {name: text for name, text in found.items() if text}


def from_texts(texts: Mapping[str, str]) -> ServerSettings:
    """Settings from name and text, each converted to its type.

    Raises:
        SettingsError: a name is unknown or a text does not convert.
    """
    return ServerSettings(**parse_texts(ServerSettings, PREFIX, texts))
