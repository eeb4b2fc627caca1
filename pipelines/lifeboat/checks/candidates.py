"""Which candidates can be trained, exported and served: found out on a few rows, and kept until the source changes."""

from __future__ import annotations

import pyarrow as pa

from lifeboat.config.settings import Settings
from lifeboat.train.candidate_cache import KeptFindings
from lifeboat.usecase.importing import import_reference
from lifeboat.usecase.usecase import UseCase


def check_candidates(
    reference: str, usecase: UseCase, rows: pa.Table, settings: Settings
) -> tuple[list[str], list[str]]:
    """The names of those that can be used, and a sentence for each other one.

    Args:
        reference: of the use case, whose source decides whether it was looked at before.
        usecase: its candidates.
        rows: of the table, checked and good.
        settings: their home keeps what is found.
    """
    kept = KeptFindings(import_reference(reference), usecase, settings.home_path)
    found: dict[str, str] = {}
    if not kept.all_usable:
        # Imported here: scikit-learn and pandas take a second, which a check that finds its answer need not pay.
        from lifeboat.train.parity import data_frame

        y = rows.column(usecase.schema.label.name).to_numpy()
        found = kept.examine(usecase, data_frame(rows, usecase.schema), y)
    usable = [candidate.name for candidate in usecase.candidates if candidate.name not in found]
    return usable, [f"candidate {name!r} is left out: {problem}" for name, problem in found.items()]
