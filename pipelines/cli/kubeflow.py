"""`lifeboat usecases`, `compile` and `submit`."""

from __future__ import annotations

import argparse
from pathlib import Path

from components.core.settings import Settings
from components.core.usecase import list_usecases, load_usecase
from pipelines.cli.arguments import pipeline_arguments


def usecases(options: argparse.Namespace, settings: Settings) -> int:  # noqa: ARG001  # every verb's signature
    """Prints the use cases that ship with the project."""
    for name in list_usecases():
        print(f"{name:20} {load_usecase(name).title}")
    return 0


def compile(options: argparse.Namespace, settings: Settings) -> int:  # noqa: A001, ARG001  # named as its verb
    """Writes the compiled pipeline."""
    from pipelines.compile import compile_pipeline

    compile_pipeline(Path(options.target), options.image)
    print(f"wrote {options.target}")
    return 0


def submit(options: argparse.Namespace, settings: Settings) -> int:
    """Starts a run on Kubeflow and prints its URL."""
    from pipelines.submit import submit as send

    print(send(settings, options.image, pipeline_arguments(options, options.target)))
    return 0
