"""`python -m lifeboat.ui.labelled_counts USECASE BUNDLE`: counts a use case's labelled rows, as JSON.

A process of its own, which the home page starts when the store has changed: to read the rows takes Arrow, 80 MB that
the page need not keep.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from lifeboat.config.errors import LifeboatError
from lifeboat.config.settings import Settings, read_settings
from lifeboat.data.labelled.labelled_rows import load_labelled, say_apart
from lifeboat.data.labelled.trust import read_conflicts
from lifeboat.model.bundle import open_bundle
from lifeboat.registry.storage import open_storage


@dataclass(frozen=True)
class LabelledCounts:
    """The labelled rows of a use case.

    Args:
        sources: rows that teach, by who said what was true.
        apart: a sentence for each kind of rows that do not, with what to do about it.
        refused: files that cannot be used.
        conflicts: truths that contradict the table or one another, as the last run met them, and nobody has settled.
        until: when the last truth came, as text; empty without any.
    """

    sources: dict[str, int]
    apart: list[str]
    refused: int
    conflicts: int
    until: str

    @property
    def rows(self) -> int:
        """Those that teach."""
        return sum(self.sources.values())


def count_labelled(settings: Settings, usecase: str, bundle: Path) -> LabelledCounts:
    """Counts.

    Args:
        settings: of the home.
        usecase: its name.
        bundle: directory of one of its bundles, which has the columns.

    Raises:
        LifeboatError: bundle or store cannot be read.
    """
    storage = open_storage(settings.bundle_store, settings.s3)
    found = load_labelled(storage, usecase, open_bundle(bundle).schema, trusted=settings.trusted)
    conflicts = read_conflicts(storage, usecase)
    return LabelledCounts(found.sources, say_apart(found.apart), len(found.refused), conflicts, found.until)


def main() -> int:
    """Prints the counts, or a sentence and 1."""
    usecase, bundle = sys.argv[1:]
    try:
        print(json.dumps(asdict(count_labelled(read_settings(), usecase, Path(bundle)))))
    except LifeboatError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
