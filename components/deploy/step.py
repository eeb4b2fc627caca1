"""Deploy: refuse what the gate has not passed, roll the bundle out, and only then move the champion's alias."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from components.core.bundle import Bundle, open_bundle
from components.core.errors import GateError, LifeboatError, RegistryError
from components.core.gates import Verdict
from components.core.registry import CHAMPION, PREVIOUS, Registry, Version
from components.deploy.timeline import Say, Timeline


class Target(Protocol):
    """A place where models are served."""

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
    _check_champion(registry, version, verdict)
    stored = registry.bundle(version)
    return _roll_out(stored, version, registry, target, verdict.champion, "is the champion", say)


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


def rollback(name: str, registry: Registry, target: Target, say: Say = print) -> Deployment:
    """Brings the previous champion back: traffic first, then the alias.

    Raises:
        RegistryError: there is no previous champion.
        DeployError: the rollout did not finish; the present champion keeps serving.
    """
    previous, champion = registry.aliased(name, PREVIOUS), registry.aliased(name, CHAMPION)
    if previous is None or champion is None:
        raise RegistryError(f"{name} has no previous champion to go back to")
    bundle = registry.bundle(previous)
    return _roll_out(bundle, previous, registry, target, champion.digest, "is the champion again", say)


def serve_champion(name: str, registry: Registry, target: Target, say: Say = print) -> Deployment | None:
    """Brings the champion into service where none is, after a restart of the machine for instance; None without one."""
    champion = registry.aliased(name, CHAMPION)
    if champion is None:
        return None
    url = target.roll_out(registry.bundle(champion), champion, lambda: None, say)
    return Deployment(name, champion.version, champion.digest, url)


def _roll_out(
    bundle: Bundle, version: Version, registry: Registry, target: Target, expected: str | None, done: str, say: Say
) -> Deployment:
    """Rolls a version out in place of the expected champion.

    How that went is kept with the version in the registry: Kubeflow drops what a failed step made.
    """

    def keep(page: str, outcome: str) -> None:
        try:
            registry.keep_rollout(version, outcome, page)
        except LifeboatError as error:  # told, but what the rollout itself came to is what counts
            say(f"the course of this rollout is not in the registry: {error}")

    with Timeline(f"Rollout of {version.name} version {version.version}", say, keep) as course:

        def commit() -> None:
            registry.promote(version, expected=expected)
            course.note(f"{version.name} version {version.version} {done}")

        url = target.roll_out(bundle, version, commit, course.note)
    return Deployment(version.name, version.version, version.digest, url)


def _check_champion(registry: Registry, version: Version, verdict: Verdict) -> None:
    """Refuses before anything is started what `Registry.promote` would refuse at the end."""
    champion = registry.aliased(version.name, CHAMPION)
    if (champion.digest if champion else None) != verdict.champion:
        raise RegistryError(
            f"the champion of {version.name} changed since this bundle was judged against "
            f"{(verdict.champion or 'none')[:12]}: run the pipeline again"
        )


def undo(action: Callable[[], None], cause: LifeboatError, say: Say) -> None:
    """Runs a compensating action; if that fails too, both sentences reach the user."""
    try:
        action()
    except LifeboatError as error:
        raise type(cause)(f"{cause}; and bringing the old version back failed: {error}") from cause
    say("the old version serves again")
