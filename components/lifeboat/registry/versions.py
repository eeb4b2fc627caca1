"""Model versions, and the order in which they were champions."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lifeboat.config.errors import SettingsError

# Tags of a version: when it became the champion, and when it was rolled back from.
PROMOTED, WITHDRAWN = "promoted_at", "withdrawn_at"
# And of one that was promoted whatever its gate said: why, and by whom.
BECAUSE, BY = "promoted_because", "promoted_by"
# Characters of a person's reason at most: it stands on the card.
LONGEST_REASON = 500


def stamp() -> str:
    """Now, in UTC, so that texts sort as moments do: '2026-11-26T04:12:07.512345Z'."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def file_stamp(at: float | None = None) -> str:
    """A moment, now or in seconds since 1970, in UTC, as a part of a file's name: '20261126T041207512345Z'."""
    moment = datetime.now(UTC) if at is None else datetime.fromtimestamp(at, UTC)
    return f"{moment:%Y%m%dT%H%M%S%fZ}"


def one_line(reason: str) -> str:
    """A person's reason for the record, on one line.

    Raises:
        SettingsError: it is longer than `LONGEST_REASON`.
    """
    text = " ".join(reason.split())
    if len(text) > LONGEST_REASON:
        raise SettingsError(f"the reason has {len(text)} characters, at most {LONGEST_REASON} are kept: shorten it")
    return text


def whoever() -> str:
    """Who runs this process, and where, for the record: user@host."""
    return f"{user()}@{socket.gethostname()}"


def user() -> str:
    """Who runs this process: the name, or the number where a container knows none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


@dataclass(frozen=True)
class Version:
    """A model version.

    Args:
        name: of the model, which is the use case's.
        version: its number, as text.
        digest: of its bundle.
        run_id: the MLflow run that made it.
        tags: of the version, as they were when it was read.
    """

    name: str
    version: str
    digest: str
    run_id: str
    tags: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def passed(self) -> bool:
        """Whether it passed the gate in the run that made it."""
        return self.tags.get("gate") == "passed"

    @property
    def promoted_at(self) -> str:
        """When it last became the champion by a promotion, as `stamp` writes it; empty if never."""
        return self.tags.get(PROMOTED, "")

    @property
    def withdrawn(self) -> bool:
        """Whether a rollback went from it, or over it, to an earlier one."""
        return WITHDRAWN in self.tags


@dataclass(frozen=True)
class Overview:
    """All versions of a model, the newest first, and those that the aliases name."""

    versions: tuple[Version, ...] = ()
    champion: Version | None = None
    previous: Version | None = None
    challenger: Version | None = None

    def find(self, number: str) -> Version | None:
        """The version of a number."""
        return next((one for one in self.versions if one.version == number), None)

    @property
    def champions(self) -> list[Version]:
        """All that are or were the champion, the latest promotion first.

        A registry from before promotions were noted knows two of them, by their aliases.
        """
        named = (self.champion, self.previous)
        found = [one for one in self.versions if one.promoted_at or one in named]
        return sorted(found, key=lambda one: (one.promoted_at, one == self.champion), reverse=True)

    def before(self, version: Version) -> list[Version]:
        """The champions that were promoted before this one and not rolled back from, the latest first."""
        order = self.champions
        rest = order[order.index(version) + 1 :] if version in order else []
        return [one for one in rest if not one.withdrawn]

    def after(self, version: Version) -> list[Version]:
        """The champions that were promoted after this one and not rolled back from, the latest first."""
        order = self.champions
        rest = order[: order.index(version)] if version in order else []
        return [one for one in rest if not one.withdrawn]
