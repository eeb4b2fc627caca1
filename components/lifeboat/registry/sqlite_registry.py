"""What MLflow's SQLite database says of models and versions, read without MLflow.

Importing MLflow takes seconds and 240 MB, which a page or `lifeboat status` should not pay. Only the tables of the
model registry are read, and where a run keeps its files; they are MLflow's, of the version that we pin.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lifeboat.registry.mlflow_client import SQLITE
from lifeboat.registry.versions import Version

SECONDS = 2.0
_VERSIONS = """SELECT v.name, v.version, v.run_id, v.creation_time, r.artifact_uri
FROM model_versions v LEFT JOIN runs r ON r.run_uuid = v.run_id ORDER BY v.name, v.version DESC"""
_TAGS = "SELECT name, version, key, value FROM model_version_tags"
_ALIASES = "SELECT name, version, alias FROM registered_model_aliases ORDER BY alias"


@dataclass(frozen=True)
class ListedVersion:
    """A version in a list of them.

    Args:
        version: name, number, digest, run and tags.
        created: when it was registered, in seconds since 1970.
        aliases: that name it, such as "champion".
        artifacts: directory of its run's files; None where they are not on this machine.
    """

    version: Version
    created: float
    aliases: tuple[str, ...]
    artifacts: Path | None


def is_sqlite(tracking: str) -> bool:
    """Whether a tracking URI is a SQLite database, which alone is read here."""
    return tracking.startswith(SQLITE)


def read_champion(tracking: str, name: str) -> str | None:
    """The version of a model that is the champion; None where there is none, and for a registry elsewhere.

    Raises:
        sqlite3.Error: the database cannot be read.
    """
    query = "SELECT version FROM registered_model_aliases WHERE name = ? AND alias = 'champion'"
    with _reading(tracking) as database:
        found = database.execute(query, (name,)).fetchone() if database else None
    return str(found[0]) if found else None


def read_versions(tracking: str) -> dict[str, list[ListedVersion]]:
    """Every model's versions, the newest first; empty for a registry elsewhere, or one that is not there yet.

    Raises:
        sqlite3.Error: the database cannot be read.
    """
    with _reading(tracking) as database:
        if database is None or not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'runs'").fetchone():
            return {}
        tags: dict[tuple[str, int], dict[str, str]] = defaultdict(dict)
        for name, number, key, value in database.execute(_TAGS):
            tags[name, number][key] = value
        aliases: dict[tuple[str, int], list[str]] = defaultdict(list)
        for name, number, alias in database.execute(_ALIASES):
            aliases[name, number].append(alias)
        models: dict[str, list[ListedVersion]] = defaultdict(list)
        for name, number, run, created, place in database.execute(_VERSIONS):
            version = _version(name, number, run, tags[name, number])
            listed = ListedVersion(version, created / 1000, tuple(aliases[name, number]), _folder(place))
            models[name].append(listed)
    return dict(models)


def _version(name: str, number: int, run: str | None, tags: Mapping[str, str]) -> Version:
    return Version(name, str(number), tags.get("bundle_digest", ""), run or "", tags)


def _folder(place: str | None) -> Path | None:
    """A path, or a URL of one; None for another machine's."""
    url = urlsplit(place or "")
    if not place or url.scheme not in ("", "file"):
        return None
    return Path(unquote(url.path) if url.scheme else place)


@contextmanager
def _reading(tracking: str) -> Iterator[sqlite3.Connection | None]:
    """The database, which is not made; None where there is none."""
    path = Path(tracking.removeprefix(SQLITE))
    if not is_sqlite(tracking) or not path.is_file():
        yield None
        return
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=SECONDS)) as database:
        yield database
