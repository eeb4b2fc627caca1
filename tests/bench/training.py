"""A use case's bundle, made as the pipeline's steps make it, and nothing said meanwhile."""

from __future__ import annotations

from pathlib import Path

from lifeboat.preprocess.step import Outputs, preprocess
from lifeboat.train.step import train
from lifeboat.usecase.usecase import UseCase


def make_bundle(usecase: UseCase, data: str, folder: Path) -> tuple[Path, Path]:
    """Prepares and trains; gives the bundle's directory and the file of the held-out rows.

    Args:
        usecase: to train.
        data: its table.
        folder: for all files; it may be there.
    """
    folder.mkdir(exist_ok=True)
    out = Outputs(*(folder / name for name in ("train.parquet", "test.parquet", "quarantine.csv", "profile.html")))
    preprocess(usecase, data, out, say=_quiet)
    train(usecase, out.train, folder / "bundle", say=_quiet)
    return folder / "bundle", out.test


def _quiet(_: str) -> None:
    pass
