"""`lifeboat promote` and `rollback`: which version is the champion, decided by a person."""

from __future__ import annotations

import argparse

from components.core.settings import Settings
from components.core.usecase import load_usecase
from components.core.versions import whoever
from pipelines.keeper.daemon import ensure_keeper


def promote(options: argparse.Namespace, settings: Settings) -> int:
    """Ships a version whatever its gate said."""
    from components.core.registry import Registry
    from components.deploy import step
    from components.deploy.override import Override
    from components.deploy.targets import make_target

    name = load_usecase(options.usecase).name
    override = Override.now(options.because, whoever())
    target = make_target(options.target, settings)
    shipped = step.promote(name, options.version, override, Registry(settings), target)
    if options.target == "local":
        ensure_keeper(settings)
    print(f"{name} version {shipped.version} serves at {shipped.url}; its gate was overridden by {override.by}")
    return 0


def rollback(options: argparse.Namespace, settings: Settings) -> int:
    """Puts an earlier champion back."""
    from components.core.registry import Registry
    from components.deploy import step
    from components.deploy.targets import make_target

    name = load_usecase(options.usecase).name
    target = make_target(options.target, settings, at_once=True)
    shipped = step.rollback(name, Registry(settings), target, to=options.to)
    if options.target == "local":
        ensure_keeper(settings)
    print(f"{name} version {shipped.version} serves at {shipped.url}")
    return 0
