"""`lifeboat promote` and `rollback`: which version is the champion, decided by a person."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager, nullcontext

from lifeboat.config.settings import Settings
from lifeboat.registry.versions import whoever
from lifeboat.services.keeper.daemon import keeping_in_background
from lifeboat.usecase.usecase import load_usecase


def promote(options: argparse.Namespace, settings: Settings) -> int:
    """Ships a version whatever its gate said."""
    from lifeboat.deploy import step
    from lifeboat.deploy.override import Override
    from lifeboat.deploy.targets import make_target
    from lifeboat.registry.registry import Registry

    name = load_usecase(options.usecase).name
    override = Override.now(options.because, whoever())
    target = make_target(options.target, settings)
    with _keeping(options, settings):
        shipped = step.promote(name, options.version, override, Registry(settings), target)
    print(f"{name} version {shipped.version} serves at {shipped.url}; its gate was overridden by {override.by}")
    return 0


def rollback(options: argparse.Namespace, settings: Settings) -> int:
    """Puts an earlier champion back."""
    from lifeboat.deploy import step
    from lifeboat.deploy.targets import make_target
    from lifeboat.registry.registry import Registry

    name = load_usecase(options.usecase).name
    target = make_target(options.target, settings, at_once=True)
    with _keeping(options, settings):
        shipped = step.rollback(name, Registry(settings), target, to=options.to)
    print(f"{name} version {shipped.version} serves at {shipped.url}")
    return 0


def _keeping(options: argparse.Namespace, settings: Settings) -> AbstractContextManager[None]:
    """What a deployment on this machine needs: the servers' environments before it, a keeper after it."""
    if options.target != "local":
        return nullcontext()
    settings.make_environments(print)
    return keeping_in_background(settings)
