"""Compiling the pipeline to the YAML that Kubeflow Pipelines runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from lifeboat.config.images import COMPONENTS_IMAGE
from lifeboat.system.files import replacing


def compile_pipeline(target: Path, image: str = COMPONENTS_IMAGE, usecase: str = "") -> None:
    """Writes the compiled pipeline.

    Args:
        target: a .yaml file; written whole or not at all.
        image: reference of the components' image, by digest for a real cluster.
        usecase: that a run is of which names none; the DAG's unless given.
    """
    from kfp import compiler

    from lifeboat.pipeline.dag import pipeline

    with replacing(target) as temporary:
        # kfp chooses the format by the ending. The temporary name is nobody else's, so this one is not either.
        draft = temporary.with_name(f"{temporary.name}.yaml")
        try:
            compiler.Compiler().compile(pipeline, str(draft))
            documents = list(yaml.safe_load_all(draft.read_text()))
        finally:
            draft.unlink(missing_ok=True)
        temporary.write_text(yaml.safe_dump_all(_filled_in(documents, image, usecase), sort_keys=True))


def _filled_in(documents: list[Any], image: str, usecase: str) -> list[Any]:
    if usecase:
        documents[0]["root"]["inputDefinitions"]["parameters"]["usecase"]["defaultValue"] = usecase
    for executor in documents[0]["deploymentSpec"]["executors"].values():
        executor["container"]["image"] = image
    return documents
