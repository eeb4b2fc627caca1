"""Deploy: refuse what the gate has not passed, roll the bundle out, and only then move the champion's alias."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from lifeboat.config.errors import GateError, LifeboatError, RegistryError
from lifeboat.deploy.choice import described, earlier, numbered, once_champion
from lifeboat.deploy.override import Override
from lifeboat.deploy.timeline import RolloutTimeline, Say
from lifeboat.model.bundle import Bundle, open_bundle
from lifeboat.registry.registry import CHAMPION, PREVIOUS, Registry
from lifeboat.registry.versions import Version
from lifeboat.usecase.gates import Verdict
from lifeboat.usecase.schema import Schema


class Target(Protocol):
    """A place where models are served."""

    def turn(self, name: str, say: Say) -> AbstractContextManager[None]:
        """Keeps other rollouts of the model away for the block, where the place lets one wait for another.

        Raises:
            DeployError: another one takes too long.
        """

    def roll_out(self, bundle: Bundle, version: Version, commit: Callable[[], None], say: Say) -> str:
        """Brings a bundle into service without a failed request and gives its URL.

        Args:
            bundle, version: what to serve.
            commit: called once the bundle serves; if it raises, the old one is brought back.
            say: told of each stage.

        Raises:
            DeployError: the old version keeps serving.
        """


@dataclass(frozen=True)
class Deployment:
    """What serves now: model, version, digest of the bundle, URL."""

    model: str
    version: str
    digest: str
    url: str

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"


def deploy(bundle_dir: Path, verdict_file: Path, registry: Registry, target: Target, say: Say = print) -> Deployment:
    """Ships a bundle that passed its gate.

    Args:
        bundle_dir: the bundle.
        verdict_file: the verdict of the evaluate step.
        registry: holds the bundle's version and the champion's alias.
        target: where to serve it.
        say: told of each stage.

    Raises:
        BundleError: the bundle is not whole.
        GateError: the verdict is missing, failed or another bundle's.
        RegistryError: the version is unknown, or the champion is not the one the bundle was judged against.
        DeployError: the rollout did not finish; the old version keeps serving.
    """
    bundle = open_bundle(bundle_dir)
    verdict = check_verdict(bundle, verdict_file)
    version = registry.find(bundle.usecase, bundle.digest)
    if version is None:
        raise RegistryError(f"bundle {bundle.digest[:12]} of {bundle.usecase} is not registered: evaluate it first")

    def commit() -> None:
        registry.promote(version, expected=verdict.champion)

    with target.turn(version.name, say):
        champion = registry.aliased(version.name, CHAMPION)
        if champion and champion.digest == bundle.digest:
            say(f"this bundle is the champion already, as version {champion.version}")
            return _serve(champion, registry, target, say)
        _check_champion(version.name, champion, verdict)
        if champion and (changed := column_changes(registry.bundle(champion).schema, bundle.schema)):
            say(f"with this version the endpoint's columns change: {changed}")
        return _roll_out(registry.bundle(version), version, registry, target, commit, "is the champion", say)


def column_changes(old: Schema, new: Schema) -> str:
    """Which inputs went, came or are read otherwise, in a few words; empty where none did."""
    went = [name for name in old.names if name not in new.known]
    came = [
        f"{one.name}{' (may be left out)' if one.is_optional else ''}"
        for one in new.columns
        if one.name not in old.known
    ]
    other = [one.name for one in new.columns if one.name in old.known and old.known[one.name] != one]
    found = (("no more", went), ("new", came), ("declared otherwise", other))
    return "; ".join(f"{words}: {', '.join(names)}" for words, names in found if names)


def check_verdict(bundle: Bundle, verdict_file: Path) -> Verdict:
    """Gives the verdict if it lets this bundle pass.

    Raises:
        GateError: it is missing, failed, or belongs to another bundle.
    """
    try:
        verdict = Verdict.from_json(verdict_file.read_bytes())
    except OSError as error:
        raise GateError(f"no verdict: {verdict_file} cannot be read: {error.strerror}") from error
    if verdict.bundle != bundle.digest:
        raise GateError(f"the verdict belongs to bundle {verdict.bundle[:12]}, this is {bundle.digest[:12]}")
    if not verdict.passed:
        raise GateError(f"the gate refused bundle {bundle.digest[:12]}: {'; '.join(verdict.reasons)}")
    return verdict


def rollback(name: str, registry: Registry, target: Target, say: Say = print, *, to: str | None = None) -> Deployment:
    """Brings an earlier champion back: traffic first, then the alias.

    Args:
        name: of the model.
        registry: knows who was the champion when.
        target: where to serve it.
        say: told of each stage.
        to: number of the version; the champion before the present one unless given. Each rollback goes further back: to
            a version that was rolled back from only `to` leads.

    Raises:
        RegistryError: there is no such version, or it never was the champion.
        DeployError: the rollout did not finish; the present champion keeps serving.
    """
    with target.turn(name, say):
        return _go_back(name, registry, target, say, to)


def _go_back(name: str, registry: Registry, target: Target, say: Say, to: str | None) -> Deployment:
    known = registry.overview(name)
    champion = known.champion
    if champion is None:
        raise RegistryError(f"{name} has no champion, so there is nothing to go back from")
    chosen = earlier(name, known, champion) if to is None else once_champion(name, known, champion, to)
    say(f"back from {described(champion)} to {described(chosen)}")

    def commit() -> None:
        registry.go_back(chosen, expected=champion.digest)

    shipped = _roll_out(registry.bundle(chosen), chosen, registry, target, commit, "is the champion again", say)
    further = registry.aliased(name, PREVIOUS)
    say(f"the next rollback would go to {described(further)}" if further else "no rollback leads further back")
    return shipped


def promote(
    name: str, number: str, override: Override, registry: Registry, target: Target, say: Say = print
) -> Deployment:
    """Ships a version whatever its gate said; that is on record with the version, its run and its model card.

    Args:
        name: of the model.
        number: of the version.
        override: who wants it, and why.
        registry: holds the version and the champion's alias, which moves last.
        target: where to serve it.
        say: told of each stage.

    Raises:
        RegistryError: there is no such version, it is the champion already, or the champion changed meanwhile.
        BundleError: its bundle is not whole.
        DeployError: the rollout did not finish; the old version keeps serving.
    """
    with target.turn(name, say):
        version, shipped = _promote(name, number, override, registry, target, say)
    _note_on_card(version, override, registry, say)
    return shipped


def _promote(
    name: str, number: str, override: Override, registry: Registry, target: Target, say: Say
) -> tuple[Version, Deployment]:
    known = registry.overview(name)
    version = numbered(name, known, number)
    if version == known.champion:
        raise RegistryError(f"version {number} is the champion of {name} already")
    bundle, expected = registry.bundle(version), known.champion.digest if known.champion else None
    say(f"{described(version)} is promoted by hand, its gate {version.tags.get('gate', 'is unknown')}")

    def commit() -> None:
        registry.promote(version, expected=expected, record=override.tags)

    return version, _roll_out(bundle, version, registry, target, commit, "is the champion", say)


def serve_champion(name: str, registry: Registry, target: Target, say: Say = print) -> Deployment | None:
    """Brings the champion into service where none is, after a restart of the machine for instance; None without one."""
    with target.turn(name, say):
        champion = registry.aliased(name, CHAMPION)
        return _serve(champion, registry, target, say) if champion else None


def _serve(champion: Version, registry: Registry, target: Target, say: Say) -> Deployment:
    url = target.roll_out(registry.bundle(champion), champion, lambda: None, say)
    return Deployment(champion.name, champion.version, champion.digest, url)


def _roll_out(
    bundle: Bundle, version: Version, registry: Registry, target: Target, move: Callable[[], None], done: str, say: Say
) -> Deployment:
    """Rolls a version out, and moves the alias once it serves.

    How that went is kept with the version in the registry: Kubeflow drops what a failed step made.
    """

    def keep(page: str, outcome: str) -> None:
        try:
            registry.keep_rollout(version, outcome, page)
        except LifeboatError as error:  # told, but what the rollout itself came to is what counts
            say(f"the course of this rollout is not in the registry: {error}")

    with RolloutTimeline(f"Rollout of {version.name} version {version.version}", say, keep) as course:

        def commit() -> None:
            move()
            course.note(f"{version.name} version {version.version} {done}")

        url = target.roll_out(bundle, version, commit, course.note)
    return Deployment(version.name, version.version, version.digest, url)


def _note_on_card(version: Version, override: Override, registry: Registry, say: Say) -> None:
    try:
        for report, revise in override.revisions.items():
            registry.revise_report(version, report, revise)
    except LifeboatError as error:  # the version serves, and its tags say why
        say(f"the model card does not say that it was promoted by hand: {error}")


def _check_champion(name: str, champion: Version | None, verdict: Verdict) -> None:
    """Refuses before anything is started what `Registry.promote` would refuse at the end."""
    if (champion.digest if champion else None) != verdict.champion:
        raise RegistryError(
            f"the champion of {name} changed since this bundle was judged against "
            f"{(verdict.champion or 'none')[:12]}: run the pipeline again"
        )


def undo(action: Callable[[], None], cause: LifeboatError, say: Say) -> None:
    """Runs a compensating action; if that fails too, both sentences reach the user."""
    try:
        action()
    except LifeboatError as error:
        raise type(cause)(f"{cause}; and bringing the old version back failed: {error}") from cause
    say("the old version serves again")
