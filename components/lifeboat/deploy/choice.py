"""Which version a person means who rolls back or promotes by hand."""

from __future__ import annotations

from lifeboat.config.errors import RegistryError
from lifeboat.registry.versions import Overview, Version


def earlier(name: str, known: Overview, champion: Version) -> Version:
    """Where a rollback without a number goes."""
    if not known.before(champion):
        raise RegistryError(f"{name} has no champion before version {champion.version} to go back to{_hint(known)}")
    return known.before(champion)[0]


def once_champion(name: str, known: Overview, champion: Version, number: str) -> Version:
    """A version that was the champion, by its number."""
    version = numbered(name, known, number)
    if version == champion:
        raise RegistryError(f"version {number} is the champion of {name}, there is nothing to go back to")
    if version not in known.champions:
        raise RegistryError(
            f"version {number} of {name} never was the champion{_hint(known)}; to ship it in spite of that: "
            f"lifeboat promote {number} --because TEXT"
        )
    return version


def numbered(name: str, known: Overview, number: str) -> Version:
    """Any version, by its number."""
    version = known.find(number)
    if version is None:
        there = ", ".join(one.version for one in known.versions) or "none"
        raise RegistryError(f"{name} has no version {number}; there are: {there}")
    return version


def _hint(known: Overview) -> str:
    """Which versions `rollback --to` takes."""
    others = [one.version for one in known.champions if one != known.champion]
    return f", only {', '.join(others)} (rollback --to)" if others else ""


def described(version: Version) -> str:
    """A version in a sentence."""
    since = f", promoted {version.promoted_at[:19]}Z" if version.promoted_at else ""
    return f"version {version.version} (bundle {version.digest[:12]}{since})"
