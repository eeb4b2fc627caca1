"""The trigger's settings: one frozen object, read once from flags, the environment and defaults.

`config.options` says how. What the trigger shares with the rest (home, the Kubeflow host, the ports of the model
server) are settings of `lifeboat.config.settings`.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lifeboat.cli.arguments import add_pipeline_arguments, pipeline_arguments
from lifeboat.config import options
from lifeboat.config.errors import SettingsError
from lifeboat.config.options import option
from lifeboat.http.limits import ListenerLimits
from lifeboat.system.addresses import is_loopback

PREFIX = "LIFEBOAT_TRIGGER_"
# Before the names in what is parsed: the command line puts names of its own there.
_GROUP = "trigger_"
BACKENDS = ("local", "kubeflow")
MINIMUM = {"max_body": 1, "request_seconds": 0.1, "timeout_seconds": 1, "poll_seconds": 0.1, "cooldown_seconds": 0,
           "daily_limit": 1, "every_seconds": 0}  # fmt: skip
CONNECTIONS, GRACE_SECONDS = 128, 30.0


@dataclass(frozen=True)
class TriggerSettings:
    """See each field's help."""

    host: str = option("127.0.0.1", "address to listen on")
    port: int = option(9020, "port to listen on; 0 lets the system choose")
    token_file: str = option("", "file of the bearer token; one is made under home if the host is a loopback address")
    state: str = option("", "SQLite file of requests and runs; under home unless set")
    cooldown_seconds: float = option(3600.0, "shortest time between the starts of two runs")
    daily_limit: int = option(4, "runs started within 24 hours at most")
    every_seconds: float = option(0.0, "longest time without a run before one is started; 0 for no schedule")
    timeout_seconds: float = option(7200.0, "time after which a run is ended")
    backend: str = option("local", "where runs go: local or kubeflow")
    usecase: str = option("", "use case to retrain: its name, or dotted module; the settings' unless set")
    model: str = option("", "label `model` of the alerts that mean this use case; its name unless set")
    arguments: str = option("", "further flags of `lifeboat run` or `submit`: --data, --seed, --require")
    command: str = option("", "command line of lifeboat for local runs; this installation's unless set")
    image: str = option("", "the components' image for Kubeflow, by digest for a cluster; the settings' unless set")
    target: str = option("kubernetes", "where a Kubeflow run's deploy step ships to")
    max_body: int = option(1024 * 1024, "largest request body in bytes")
    request_seconds: float = option(10.0, "time for a request to arrive whole")
    poll_seconds: float = option(15.0, "time between two looks at a Kubeflow run")

    def __post_init__(self) -> None:
        for name, least in MINIMUM.items():
            if not least <= getattr(self, name) < float("inf"):  # which a NaN is not, either
                raise SettingsError(f"{variable(name)} is {getattr(self, name)}, the least is {least}")
        if not 0 <= self.port <= 65535:
            raise SettingsError(f"{variable('port')} is {self.port}, a port is 0 to 65535")
        if self.backend not in BACKENDS:
            raise SettingsError(f"{variable('backend')} is {self.backend!r}, not {' or '.join(BACKENDS)}")
        if self.every_seconds and self.every_seconds < self.cooldown_seconds:
            limit = f"the cool-down of {self.cooldown_seconds:g} s would refuse its runs"
            raise SettingsError(f"{variable('every_seconds')} is {self.every_seconds:g}: {limit}")
        if not self.token_file and not self.is_local:
            raise SettingsError(f"{variable('token_file')} is needed on {self.host}, which others can reach")
        _split("command", self.command)
        self.run_arguments()

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the trigger."""
        return is_loopback(self.host)

    @property
    def listener_limits(self) -> ListenerLimits:
        """Those of its listener."""
        return ListenerLimits(self.max_body, CONNECTIONS, self.request_seconds, drain_seconds=GRACE_SECONDS)

    @property
    def words(self) -> list[str]:
        """The further flags of a run, a word each."""
        return _split("arguments", self.arguments)

    @property
    def lifeboat(self) -> list[str]:
        """The command that local runs start."""
        return _split("command", self.command) or [sys.executable, "-m", "lifeboat.cli.main"]

    def run_arguments(self, reason: str = "", require: str = "") -> dict[str, Any]:
        """The pipeline's arguments of a Kubeflow run.

        Args:
            reason: why it is started.
            require: further gates, unless `arguments` has some.

        Raises:
            SettingsError: a word of `arguments` is no flag of a run.
            GateError: a bound of --require is mistyped.
        """
        parser = _Arguments(add_help=False, allow_abbrev=False)
        add_pipeline_arguments(parser)
        options = parser.parse_args(self.words)
        if options.reason != parser.get_default("reason"):
            parser.error("--reason is the trigger's own to give")
        if options.as_of is not None:
            parser.error("--as-of would keep every run from what came since")
        if options.begin_anew:
            parser.error("--begin-anew is of one run, and a person's to give")
        options.usecase, options.reason = self.usecase, reason
        options.require = options.require or require
        return pipeline_arguments(options, self.target)


class _Arguments(argparse.ArgumentParser):
    """Fails with a sentence instead of ending the program."""

    def error(self, message: str) -> Any:
        raise SettingsError(f"{variable('arguments')}: {message}")


def _split(name: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise SettingsError(f"{variable(name)} is {text!r}: {error}") from None


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return options.variable(PREFIX, name)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds a flag for each setting; `read_settings` reads them."""
    options.add_flags(parser, TriggerSettings, PREFIX, _GROUP)


def read_settings(flags: Mapping[str, Any], environment: Mapping[str, str]) -> TriggerSettings:
    """Makes the settings of the trigger.

    Args:
        flags: as `add_flags` names them; None where one was not given.
        environment: an empty variable counts as unset.

    Raises:
        SettingsError: a variable is unknown or a value is not valid.
    """
    texts = options.from_environment(TriggerSettings, PREFIX, environment)
    texts |= options.given_flags(TriggerSettings, flags, _GROUP)
    return TriggerSettings(**options.parse_texts(TriggerSettings, PREFIX, texts))
