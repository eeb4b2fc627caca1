"""All that the home page shows, read from where it is: supervisors, servers, detector, registry, folders.

What cannot be read is said in its place, and the rest is shown.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lifeboat.config.errors import LifeboatError
from lifeboat.config.home_access import home_token
from lifeboat.config.home_ports import HomePorts
from lifeboat.config.settings import Settings
from lifeboat.deploy.deployed import read_deployed
from lifeboat.registry.sqlite_registry import ListedVersion, is_sqlite, read_versions
from lifeboat.registry.versions import Version
from lifeboat.services.daemons import unreadiness
from lifeboat.services.detector import detector_service
from lifeboat.services.listening import served
from lifeboat.services.status import server_status
from lifeboat.system.http_request import NoAnswerError, ask
from lifeboat.ui.drift import DriftView, drift_anchor, drift_of
from lifeboat.ui.labelled_reader import LabelledReader, LabelledView
from lifeboat.ui.runs import RunView, count_runs, list_loops, list_runs
from lifeboat.ui.server_figures import ServerFigures, read_figures

# As many readers as look at once see one reading.
FRESH_SECONDS = 1.0
PROBE_SECONDS = 2.0
RUNS_SHOWN, LOOPS_SHOWN = 10, 5
_MOST_READ = 8 * 1024 * 1024


@dataclass(frozen=True)
class ServingView:
    """What serves of a use case, or why nothing does.

    Args:
        tone: `good`, `bad` or `idle`.
        words: such as "serves", "stopped".
        detail: a sentence more; empty for none.
        version, digest: of what serves, or would; empty for nothing.
        url: of the model server; empty where none runs.
        figures: since it began; None where they cannot be read.
    """

    tone: str
    words: str
    detail: str = ""
    version: str = ""
    digest: str = ""
    url: str = ""
    figures: ServerFigures | None = None


@dataclass(frozen=True)
class ModelView:
    """A use case of the home.

    Args:
        name: of it.
        serving: what serves.
        versions: in the registry, the newest first.
        labelled: its labelled rows.
        drift: what the detector says of what serves; None where it has not seen it.
    """

    name: str
    serving: ServingView
    versions: list[ListedVersion]
    labelled: LabelledView
    drift: DriftView | None

    @property
    def current(self) -> ListedVersion | None:
        """The version that serves, in the registry."""
        found = (one for one in self.versions if one.version.digest == self.serving.digest)
        same = (one for one in self.versions if one.version.version == self.serving.version)
        return next(same, None) or next(found, None)


@dataclass(frozen=True)
class HomeView:
    """The home at a moment.

    Args:
        at: in seconds since 1970.
        path: of the home.
        models: of every use case that left anything here.
        runs: the newest; `more_runs` older ones are not shown.
        loops: name, use case and begin of the newest demonstrations.
        detector: URL of the drift detector's page; empty where none runs.
        tracking: where the registry is.
        troubles: what could not be read, in sentences.
    """

    at: float
    path: Path
    models: list[ModelView] = field(default_factory=list)
    runs: list[RunView] = field(default_factory=list)
    more_runs: int = 0
    loops: list[tuple[str, str, float]] = field(default_factory=list)
    detector: str = ""
    tracking: str = ""
    troubles: list[str] = field(default_factory=list)


class HomeReader:
    """Reads the home.

    Args:
        settings: of it.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._labelled = LabelledReader(settings)
        self._lock = threading.Lock()
        self._last: HomeView | None = None

    def read(self) -> HomeView:
        """The home now, or a moment ago where somebody else has just asked."""
        with self._lock:
            if self._last is None or time.time() - self._last.at > FRESH_SECONDS:
                self._last = self._read()
            return self._last

    def versions(self) -> dict[str, list[ListedVersion]]:
        """Those of the registry, the newest first.

        Raises:
            sqlite3.Error: it cannot be read.
        """
        return read_versions(self._settings.tracking)

    def drift_page(self, version: Version) -> str:
        """URL of the drift detector's page at a version; empty where none runs, or cannot be told."""
        try:
            if not self._settings.drift_python or not detector_service(self._settings).daemon().is_running():
                return ""
            return f"{HomePorts(self._settings).detector_url}/{drift_anchor(version)}"
        except LifeboatError:
            return ""

    def _read(self) -> HomeView:
        settings, home, troubles = self._settings, self._settings.home_path, list[str]()
        versions = self._attempt(self.versions, {}, "the model registry", troubles)
        if not is_sqlite(settings.tracking):
            troubles.append(f"the registry is at {settings.shown_tracking}: its versions are on MLflow's page there")
        runs = self._attempt(lambda: list_runs(home, RUNS_SHOWN), [], "the runs", troubles)
        loops = self._attempt(lambda: list_loops(home, LOOPS_SHOWN), [], "the demonstrations", troubles)
        more = self._attempt(lambda: count_runs(home), 0, "the runs", troubles) - len(runs)
        ever = self._attempt(lambda: served(settings), [], "what was served", troubles)
        names = sorted({*versions, *ever, *(run.usecase for run in runs)})
        with ThreadPoolExecutor(max_workers=8) as pool:
            drift = pool.submit(self._drift, troubles)
            serving = list(pool.map(self._serving, names))
        address, document = drift.result()
        models = [
            self._model(name, found, versions.get(name, []), document)
            for name, found in zip(names, serving, strict=True)
        ]
        tracking = settings.shown_tracking
        return HomeView(time.time(), home, models, runs, max(0, more), loops, address, tracking, troubles)

    @staticmethod
    def _attempt(read: Callable[[], Any], otherwise: Any, what: str, troubles: list[str]) -> Any:
        try:
            return read()
        except (LifeboatError, sqlite3.Error, OSError) as error:
            troubles.append(f"{what} cannot be read: {error}")
            return otherwise

    def _model(
        self, name: str, serving: ServingView, versions: list[ListedVersion], document: dict[str, Any] | None
    ) -> ModelView:
        drift = drift_of(document, name, serving.version, serving.digest) if document and serving.url else None
        return ModelView(name, serving, versions, self._labelled.view(name, self._bundle(name, versions)), drift)

    def _bundle(self, name: str, versions: list[ListedVersion]) -> Path | None:
        """A bundle of the use case on this machine."""
        store = Path(self._settings.bundle_store)
        places = (store / "bundles" / name / one.version.digest for one in versions if one.version.digest)
        return next((place for place in places if place.is_dir()), None)

    def _drift(self, troubles: list[str]) -> tuple[str, dict[str, Any] | None]:
        """Where the detector's page is, and what it says."""
        try:
            daemon, url = detector_service(self._settings).daemon(), HomePorts(self._settings).detector_url
            if not self._settings.drift_python or not daemon.is_running():
                if daemon.is_expected:
                    troubles.append("the drift detector has ended; lifeboat serve --detach brings it back")
                return "", None
            answer = ask(f"{url}/drift", token=home_token(self._settings), seconds=PROBE_SECONDS, most=_MOST_READ)
            if answer.status != 200:
                troubles.append(f"the drift detector answers {answer.status}: {answer.shown}")
                return url, None
            return url, answer.json()
        except (LifeboatError, OSError, ValueError, NoAnswerError) as error:
            troubles.append(f"the drift detector does not answer: {error}")
            return "", None

    def _serving(self, name: str) -> ServingView:
        try:
            found = server_status(self._settings, name)
            if found is not None and found.serving is not None:
                version, digest = found.serving.version, found.serving.digest
                trouble = unreadiness(f"{found.url}/ready", PROBE_SECONDS)
                tone, words = ("bad", "does not serve") if trouble else ("good", "serves")
                figures = None if trouble else _figures(found.metrics_url, home_token(self._settings))
                return ServingView(tone, words, trouble, version, digest, found.url, figures)
            return self._stopped(name)
        except (LifeboatError, OSError) as error:
            return ServingView("bad", "cannot be told", str(error))

    def _stopped(self, name: str) -> ServingView:
        found = read_deployed(self._settings.serving_state(name))
        if found is None:
            return ServingView("idle", "was never deployed")
        words = "ended by itself" if found.wanted else "is stopped"
        tone = "bad" if found.wanted else "idle"
        return ServingView(tone, words, "lifeboat serve brings it back", found.version, found.digest)


def _figures(url: str, token: str) -> ServerFigures | None:
    try:
        answer = ask(url, token=token, seconds=PROBE_SECONDS, most=_MOST_READ)
        return read_figures(answer.body.decode()) if answer.status == 200 else None
    except (NoAnswerError, ValueError):
        return None
