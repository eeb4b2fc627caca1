"""The explainer's settings: one frozen object, read once from flags, the environment and defaults.

`config.options` says how.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lifeboat.config.errors import SettingsError
from lifeboat.config.observed import ObservedSettings
from lifeboat.config.options import check_numbers, option, read_program
from lifeboat.http.access import TOKENS, UNGUARDED
from lifeboat.http.limits import ListenerLimits
from lifeboat.registry.storage import S3Settings

PREFIX = "LIFEBOAT_EXPLAINER_"
# In its log and its traces.
SERVICE = "explainer"
# The value of `nice` that is no priority but a policy.
IDLE = 20
_MAY_BE_ZERO = ("port", "descriptor", "nice", "trace_share")


@dataclass(frozen=True)
class ExplainerSettings(ObservedSettings, S3Settings):
    """See each field's help."""

    store: str = option("", "directory or s3://bucket/prefix of the bundles")
    cache: str = option("explainer-bundles", "directory of the copies of bundles that are fetched")
    host: str = option("127.0.0.1", "address to listen on")
    port: int = option(9030, "port to listen on")
    tokens: str = option("", TOKENS)
    open: bool = option(False, UNGUARDED)
    descriptor: int = option(0, "number of an inherited socket that has the address already; none if 0")

    max_models: int = option(8, "models kept in memory; beyond it the one that was asked longest ago goes")
    max_rows: int = option(100, "largest number of rows in a request")
    max_waiting: int = option(400, "rows that wait at most; more are answered 503, with the time to ask again")
    max_seconds: float = option(30.0, "longest time to an answer that a request may ask for")
    threads: int = option(1, "rows that are explained at the same time, each on a core")
    nice: int = option(
        10, "how much other programs of the machine go first, 0 to 19; 20 takes only the time that they leave, if any"
    )

    max_body: int = option(4 * 1024 * 1024, "largest request body in bytes")
    max_connections: int = option(1024, "open connections; one more is answered 503")
    request_seconds: float = option(10.0, "time for a request to arrive whole")
    drain_seconds: float = option(20.0, "time after which an ending explainer leaves what is unanswered")
    log_requests: bool = option(False, "log one line a request, without its body")

    def __post_init__(self) -> None:
        check_numbers(self, _MAY_BE_ZERO)
        self.check_observed()
        if not 0 <= self.nice <= IDLE:
            raise SettingsError(f"nice is {self.nice}, it must be 0 to {IDLE}")
        if not self.store:
            raise SettingsError(f"no store: give --store or {PREFIX}STORE")

    @property
    def listener_limits(self) -> ListenerLimits:
        """Those of its listener."""
        return ListenerLimits.of(self)


def read_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> ExplainerSettings:
    """Makes the settings of the program; raises as `read_program`."""
    parser = argparse.ArgumentParser(
        prog="python -m lifeboat.explainer", description="Give the reasons of answers to the model servers."
    )
    return read_program(ExplainerSettings, PREFIX, parser, arguments, environment)
