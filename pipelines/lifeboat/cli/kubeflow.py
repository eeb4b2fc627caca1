"""`lifeboat usecases`, `compile` and `submit`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lifeboat.cli.arguments import pipeline_arguments
from lifeboat.config.errors import SettingsError
from lifeboat.config.placeholders import check_text
from lifeboat.config.settings import Settings
from lifeboat.usecase.importing import list_usecases
from lifeboat.usecase.usecase import load_usecase


def usecases(options: argparse.Namespace, settings: Settings) -> int:  # noqa: ARG001  # every verb's signature
    """Prints the project's use case and those that Lifeboat ships."""
    shipped = list_usecases()
    for reference in dict.fromkeys((settings.usecase, *shipped)):
        case = load_usecase(reference)
        print(f"{case.name:20} {case.title}{'' if reference in shipped else f'  ({reference}, of this project)'}")
    return 0


def compile(options: argparse.Namespace, settings: Settings) -> int:  # noqa: A001  # named as its verb
    """Writes the compiled pipeline."""
    from lifeboat.pipeline.compile import compile_pipeline

    compile_pipeline(Path(options.target), options.image, settings.usecase)
    print(f"wrote {options.target}")
    return 0


def submit(options: argparse.Namespace, settings: Settings) -> int:
    """Starts a run on Kubeflow, or makes a recurring one, and prints its URL."""
    arguments = pipeline_arguments(options, options.target)
    if options.cron is None:
        if options.name is not None:
            raise SettingsError("--name is of a recurring run: give --cron with it")
        from lifeboat.pipeline.submit import submit as send

        print(send(settings, options.image, arguments))
        return 0
    if options.as_of is not None:
        raise SettingsError("--as-of would keep every run from what came since: leave it out with --cron")
    if options.begin_anew:
        raise SettingsError("--begin-anew is of one run: leave it out with --cron")
    from lifeboat.pipeline.recurring import repeat

    name = options.name or f"lifeboat {options.usecase}"
    check_text("--name", name)
    arguments["reason"] = f"schedule: {options.cron}" if options.reason == "manual" else options.reason
    made = repeat(settings, options.image, arguments, options.cron, name)
    print(made.url)
    if made.replaced:
        print(f"in the place of {made.replaced} of the same name", file=sys.stderr)
    if made.left:
        print(f"{made.left} of them switched off and left there, for a run of it goes on", file=sys.stderr)
    return 0
