"""The files that the home page's server shows: a few names below runs, demonstrations and versions; nothing else.

/runs/RUN/model-card.html      data-profile.html, rollout.html, run.log
/loops/LOOP/loop.html
/models/NAME/VERSION/model-card.html      data-profile.html, rollout.html (its last one)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from lifeboat.registry.sqlite_registry import ListedVersion
from lifeboat.registry.versions import Version
from lifeboat.system.files import is_within
from lifeboat.ui.runs import LOOP_PAGE, LOOPS, RUN_LOG, RUN_PAGES, RUNS

MODELS = "models"
# As we name folders; no dot at the beginning, so that none is hidden or leads upwards.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
_REPORTS = "reports"
Versions = Callable[[], Mapping[str, list[ListedVersion]]]


@dataclass(frozen=True)
class FoundPage:
    """A file to show.

    Args:
        file: of it.
        subject: what it is about, such as "titanic version 3".
        beside: URL path to title, of the pages about the same, this one among them.
    """

    file: Path
    subject: str
    beside: dict[str, str]


class StaticPages:
    """Finds files by the path of a URL.

    Args:
        home: of runs and demonstrations.
        versions: gives those of the registry.
        drift: gives the URL of the drift detector's page at a version; empty where none runs.
    """

    def __init__(self, home: Path, versions: Versions, drift: Callable[[Version], str]) -> None:
        self._home, self._versions, self._drift = home, versions, drift

    def find(self, path: str) -> FoundPage | None:
        """The file of a path; None for anything that is not to be shown, there or not.

        Args:
            path: of the URL, percent-encoded.

        Raises:
            sqlite3.Error: the registry cannot be read.
        """
        words = [unquote(word) for word in path.split("/")]
        match words:
            case ["", "runs", run, file] if file in {*RUN_PAGES, RUN_LOG}:
                return self._beside(RUNS, run, file, {**RUN_PAGES, RUN_LOG: "Log"}, f"run {run}")
            case ["", "loops", loop, file] if file == LOOP_PAGE:
                return self._beside(LOOPS, loop, file, {LOOP_PAGE: "Demonstration"}, f"demonstration {loop}")
            case ["", "models", name, number, file] if file in RUN_PAGES:
                return self._of_version(name, number, file)
        return None

    def _beside(self, kind: str, folder: str, file: str, titles: Mapping[str, str], subject: str) -> FoundPage | None:
        place = self._home / kind / folder
        if not _NAME.fullmatch(folder) or not is_within(place / file, self._home / kind):
            return None
        there = {name: title for name, title in titles.items() if is_within(place / name, self._home / kind)}
        links = {f"/{kind}/{quote(folder)}/{name}": title for name, title in there.items()}
        return FoundPage(place / file, subject, links)

    def _of_version(self, name: str, number: str, file: str) -> FoundPage | None:
        listed = next((one for one in self._versions().get(name, []) if one.version.version == number), None)
        pages = version_pages(listed) if listed else {}
        if listed is None or file not in pages:
            return None
        beside = {version_url(listed, other): RUN_PAGES[other] for other in pages}
        if drift := self._drift(listed.version):
            beside[drift] = "Drift"
        return FoundPage(pages[file], f"{name} version {number}", beside)


def version_pages(listed: ListedVersion) -> dict[str, Path]:
    """The pages of a version that are on this machine: name to file."""
    folder = listed.artifacts
    if folder is None:
        return {}
    found = {name: folder / _REPORTS / name for name in ("model-card.html", "data-profile.html")}
    rollouts = sorted((folder / "rollouts").glob("*.html"))
    if rollouts:
        found["rollout.html"] = rollouts[-1]
    return {name: file for name, file in found.items() if is_within(file, folder)}


def version_url(listed: ListedVersion, file: str) -> str:
    """The URL's path of a version's page."""
    return f"/{MODELS}/{quote(listed.version.name)}/{quote(listed.version.version)}/{file}"
