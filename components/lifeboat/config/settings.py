"""Settings of the steps and the command line: one frozen object, read once by each program's main.

They have no flags, only variables (`config.options`). The services have settings of their own, with the prefixes of
`SERVICES`.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib import metadata
from itertools import combinations
from pathlib import Path
from typing import Any

from lifeboat.config import options
from lifeboat.config.errors import SettingsError
from lifeboat.config.images import COMPONENTS_IMAGE
from lifeboat.config.observed import ObservedSettings
from lifeboat.config.options import option
from lifeboat.config.project import find_project
from lifeboat.config.pseudonyms import Pseudonyms, read_pseudonyms
from lifeboat.config.sources import ANONYMOUS, trusted_sources
from lifeboat.registry.storage import S3Settings
from lifeboat.system.addresses import is_loopback
from lifeboat.system.environments import Environment

PREFIX = "LIFEBOAT_"
# Given to a process that has all its settings: what the file of its folder's project says is among them, or overruled.
WHOLE = {"LIFEBOAT_PROJECT": "none"}
# As `detector_python`: what serves here is not watched.
NO_DETECTOR = "none"
# The settings that are ports of a home's services.
PORTS = ("port", "metrics_port", "grpc_port", "detector_port", "explainer_port", "ui_port")
HOME = ".lifeboat"
# In the home: the level of its services' logs, where another one than the settings' is wanted.
LOG_LEVEL = "log-level"
# Of a port that is not chosen here: `lifeboat.config.home_ports` chooses, and the home keeps it.
_OWN_PORT = "unless set {} where it is free, else the next free one, kept by the home"
_FOR_EVER = "0 keeps them for ever, see lifeboat retain"
SERVICES = ("LIFEBOAT_SERVER_", "LIFEBOAT_DRIFT_", "LIFEBOAT_EXPLAINER_", "LIFEBOAT_TRIGGER_")
# What other libraries read from the environment, unless the user says otherwise: no telemetry, no pickle from a model's
# file, a registry that is down is reported within seconds, and in one sentence: MLflow logs a traceback of its own for
# each error that it raises as well. Threads of a fit that wait for each other sleep after some microseconds instead of
# milliseconds: a million rows take 7 % longer, but 2.5 times less where another process has one of the cores.
LIBRARIES = {
    "GOMP_SPINCOUNT": "1000",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "GIT_PYTHON_REFRESH": "quiet",
    "ORT_DISABLE_TELEMETRY": "1",
}


@dataclass(frozen=True)
class Settings(ObservedSettings, S3Settings):
    """See each field's help."""

    usecase: str = option(
        "", "the use case: the name of a shipped one, dotted module, or path; the first shipped one unless set"
    )
    require: str = option("", "further gates, such as 'roc_auc>=0.9,log_loss<=0.4'; they add to the use case's own")
    image: str = option(COMPONENTS_IMAGE, "the components' image, by digest for a cluster")
    home: str = option(HOME, "directory of all local state: runs, registry, bundles, logs; in the project's folder")
    tracking_uri: str = option("", "MLflow tracking server or database; SQLite under home unless set", secret=True)
    store: str = option("", "directory or s3://bucket/prefix of the bundles; under home unless set")
    host: str = option("127.0.0.1", "address the local model server listens on")
    open: bool = option(False, "whether servers that listen elsewhere answer whoever reaches them, without a token")
    token: str = option(
        "",
        "bearer token for model servers elsewhere: of predict --url, of a cluster; none unless set",
        secret=True,
    )
    port: int = option(0, f"port of a use case's local model server; {_OWN_PORT.format(9000)}")
    metrics_port: int = option(0, f"port of its metrics; {_OWN_PORT.format(6000)}")
    grpc_port: int = option(0, f"port of its gRPC; {_OWN_PORT.format(9500)}")
    environments: str = option("", "directory of the servers' environments; lifeboat in the user's cache unless set")
    serving_python: str = option("", "Python of the model server's environment; one made for it unless set")
    detector_port: int = option(0, f"port of the home's drift detector; {_OWN_PORT.format(9010)}")
    detector_python: str = option(
        "", f"Python of the detector's environment, or {NO_DETECTOR}; one made for it unless set"
    )
    explainer: bool = option(True, "whether the home has an explainer, which gives the reasons of answers")
    features_url: str = option(
        "",
        "URL of a feature server by Feast's contract, which the model servers ask for stored columns that a request "
        "leaves out; none unless set",
    )
    features_milliseconds: float = option(
        20.0, "time that an answer of the feature server may take; what does not come is null"
    )
    explainer_port: int = option(0, f"port of the home's explainer; {_OWN_PORT.format(9030)}")
    ui: bool = option(True, "whether the home has a page of its own, started by a run and kept")
    ui_port: int = option(0, f"port of the home's page; {_OWN_PORT.format(9050)}")
    ui_host: str = option("127.0.0.1", "address the home's page listens on; whoever reaches it sees all of the home")
    code_commit: str = option("", "commit of the code, for the lineage; asked of git unless set")
    version: str = option("", "version of Lifeboat, for the lineage; the installed package's unless set")
    trusted_sources: str = option(
        "",
        "sources of truth whose rows teach unseen, with commas between them, or none; unless set "
        f"{ANONYMOUS} where host and store are this machine's, and nobody elsewhere",
    )
    personal_key: str = option("", "the key itself by which pseudonyms are made, for a cluster", secret=True)
    personal_key_file: str = option(
        "", "file with the key by which pseudonyms of personal keys are made; one made under home unless set"
    )
    keep_labelled_days: int = option(0, f"days that labelled rows are kept; {_FOR_EVER}")
    keep_quarantine_days: int = option(0, f"days that a run's file of broken rows is kept; {_FOR_EVER}")
    keep_runs_days: int = option(0, f"days that a run's folder is kept, with rows and pages; {_FOR_EVER}")
    kfp_host: str = option("", "URL of the Kubeflow Pipelines API")
    kfp_pages: str = option("", "URL of Kubeflow's pages as people open them; the API's own unless set")
    kfp_token: str = option("", "bearer token of that API", secret=True)
    kfp_token_file: str = option("", "file that holds the bearer token")
    kfp_namespace: str = option("", "namespace of the runs, where Kubeflow has several users")
    namespace: str = option("lifeboat", "Kubernetes namespace of the model servers")
    deployment: str = option("", "name of the SeldonDeployment; the use case's unless set")
    server_image: str = option("", "image of the model server; that of the cluster's template unless set")
    predictor_url: str = option(
        "http://{deployment}-{predictor}.{namespace}.svc.cluster.local:8000",
        "URL where the deploy step reaches one predictor, a template",
    )
    ingress_url: str = option("", "URL of the ingress in front of Seldon, where there is one")
    prometheus_url: str = option(
        "http://prometheus-operated.monitoring.svc.cluster.local:9090", "URL of the Prometheus that judges a canary"
    )
    rollout: str = option("canary", "how a version takes over on Kubernetes: canary, shadow, or switch (no Istio)")
    rollout_steps: str = option("10,25,50", "percentages of the traffic that a canary gets, in turn")
    rollout_window: int = option(300, "seconds that each step is watched")
    rollout_patience: int = option(600, "seconds until a version is up, and until a step has enough requests")
    rollout_requests: int = option(200, "requests that a step is judged on at least")
    rollout_error_ratio: float = option(0.01, "how much larger the share of failed requests may be, 0 to 1")
    rollout_latency_ratio: float = option(1.5, "how many times as slow the 99th percentile may be")
    rollout_latency_seconds: float = option(0.05, "a 99th percentile that is no objection however it compares")
    rollout_score_distance: float = option(0.2, "largest Kolmogorov distance of the scores, 0 to 1")

    def __post_init__(self) -> None:
        self.check_observed()
        trusted_sources(self.trusted_sources, private=True)  # a name that is none is said now
        ports = {name: getattr(self, name) for name in PORTS}
        for (name, port), (other, same) in combinations(ports.items(), 2):
            if port == same != 0:
                raise SettingsError(
                    f"{variable(other)} is {same}, as is {variable(name)}: each needs a port of its own"
                )

    def with_ports_of_its_own(self) -> Settings:
        """The same with no port chosen: those of the home it is of."""
        return replace(self, port=0, metrics_port=0, grpc_port=0, detector_port=0, explainer_port=0, ui_port=0)

    @property
    def home_path(self) -> Path:
        return Path(self.home).resolve()

    @property
    def tracking(self) -> str:
        """The tracking URI in force."""
        return self.tracking_uri or f"sqlite:///{self.home_path / 'mlflow.db'}"

    @property
    def shown_tracking(self) -> str:
        """The tracking URI without a password, for people and logs."""
        return re.sub(r"(?<=://)([^/@:]*):[^/]*@", r"\1:***@", self.tracking)

    @property
    def bundle_store(self) -> str:
        """The address of the bundles in force."""
        return self.store or str(self.home_path / "store")

    @property
    def trusted(self) -> frozenset[str]:
        """The sources of truth whose rows teach, unless the store's record says otherwise."""
        return trusted_sources(self.trusted_sources, private=is_loopback(self.host) and "://" not in self.store)

    @property
    def personal_key_path(self) -> Path:
        """The file with the key of pseudonyms, there or not."""
        return Path(self.personal_key_file) if self.personal_key_file else self.home_path / "access" / "personal.key"

    @property
    def pseudonyms(self) -> Pseudonyms:
        """Those of personal keys; raises SettingsError where the file that is named is none."""
        there = self.personal_key_file or self.personal_key_path.exists()
        return read_pseudonyms(str(self.personal_key_path) if there else "", self.personal_key)

    @property
    def server_python(self) -> str:
        """The interpreter of the model server: the setting, or that of its environment."""
        return self.serving_python or _made("serving") or str(self.server_environment.python)

    @property
    def drift_python(self) -> str:
        """The interpreter of the drift detector; empty where there is to be no detector."""
        if self.detector_python == NO_DETECTOR:
            return ""
        return self.detector_python or _made("drift") or str(self.detector_environment.python)

    @property
    def server_environment(self) -> Environment:
        """The model server's own environment, of this Python's version."""
        return Environment("serving", "model server", "{}.{}".format(*sys.version_info), self._cache)

    @property
    def detector_environment(self) -> Environment:
        """The drift detector's own environment."""
        return Environment("drift", "drift detector", "3.11", self._cache)

    @property
    def _cache(self) -> Path:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(self.environments or Path(cache) / "lifeboat")

    def make_environments(self, say: Callable[[str], None]) -> None:
        """Makes those of the servers of this home that are not there, or not whole; to be called before one starts.

        Raises:
            SetupError: one cannot be made.
            StorageError: the cache cannot be written.
        """
        wanted = (self.server_environment, self.server_python), (self.detector_environment, self.drift_python)
        for own, python in wanted:
            if python == str(own.python):
                own.make(say)

    @property
    def of_services(self) -> ObservedSettings:
        """What each service of the home is told of its traces and of its log's level, which a file may change."""
        file = self.log_level_file or str(self.home_path / LOG_LEVEL)
        return ObservedSettings(self.traces, self.trace_share, self.log_level, file)

    def serving_state(self, usecase: str) -> Path:
        """Directory of the local model server of a use case."""
        return self.home_path / "serving" / usecase

    def environment(self) -> dict[str, str]:
        """The variables that give another process the same settings, whatever it inherits or its folder's project says.

        An empty variable counts as unset: a port that was not chosen here is not chosen there either.
        """
        values = {spec.name: (getattr(self, spec.name), spec.default) for spec in fields(self)}
        texts = {variable(name): "" if value == default else str(value) for name, (value, default) in values.items()}
        return {**texts, **WHOLE}

    def resolved(self) -> Settings:
        """With paths, commit and version fixed, so that it means the same in any working directory."""
        commit = self.code_commit or git_commit(Path(__file__).parent)
        store = self.store if "://" in self.store or not self.store else str(Path(self.store).resolve())
        version = self.version or installed_version()
        cache = str(Path(self.environments).resolve()) if self.environments else ""
        return replace(
            self, home=str(self.home_path), store=store, environments=cache, code_commit=commit, version=version
        )


def inherited() -> dict[str, str]:
    """This process's environment without any setting of ours: what another program of ours starts from."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


def _made(environment: str) -> str:
    """The interpreter of an environment that `make` makes in a checkout; empty where it did not."""
    python = Path(__file__).resolve().parents[3] / ".venvs" / environment / "bin" / "python"
    return str(python) if python.exists() else ""


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return options.variable(PREFIX, name)


def read_settings(environment: Mapping[str, str] | None = None, folder: Path | None = None) -> Settings:
    """Makes the settings of this program; call it once, in main.

    Args:
        environment: the process's own unless given.
        folder: in whose project further settings may stand; the working directory unless an environment is given.

    Raises:
        SettingsError: a variable or a line of the project's file is unknown, or a value is not of its type.
    """
    if environment is None:
        for name, value in LIBRARIES.items():
            os.environ.setdefault(name, value)
        environment, folder = os.environ, folder or Path.cwd()
    whole = WHOLE.items() <= environment.items()
    chosen = dict(environment.items() - WHOLE.items())
    given = options.from_environment(Settings, PREFIX, chosen, SERVICES)
    project = find_project(folder) if folder and not whole else None
    secret = {spec.name: not spec.repr for spec in fields(Settings)}
    texts = {**(project.texts(secret, HOME) if project else {}), **given}
    values = options.parse_texts(Settings, PREFIX, texts)
    for name, value in values.items():
        _check(name, value, texts[name])
    return Settings(**values)


def _check(name: str, value: Any, text: str) -> None:
    if isinstance(value, float) and not 0 <= value < math.inf:
        raise SettingsError(f"{variable(name)} is {text}, it must be 0 or more")
    if isinstance(value, int) and name.endswith("port") and not 0 < value < 65536:
        raise SettingsError(f"{variable(name)} is {value}, a port is 1 to 65535")
    if isinstance(value, int) and not isinstance(value, bool) and value < 1:
        raise SettingsError(f"{variable(name)} is {value}, it must be 1 or more")


def git_commit(folder: Path) -> str:
    """The commit of a folder's code, with '-dirty' where a tracked file differs; 'unknown' where git does not keep it.

    A package that was installed into an environment within somebody's repository is none of that repository's.
    """
    try:
        if not _git(folder, "ls-files", "--", "."):
            return "unknown"
        return _git(folder, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*").strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


@cache
def installed_version() -> str:
    """The version of this package; 'unknown' where it was not installed but copied, as in our images."""
    try:
        return metadata.version("lifeboat")
    except metadata.PackageNotFoundError:
        return "unknown"
