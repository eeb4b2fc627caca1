"""The labelled rows of the store, held against the schema, and what is said of those that do not teach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from lifeboat.config.errors import SettingsError
from lifeboat.config.pseudonyms import NO_PSEUDONYMS, Pseudonyms, is_pseudonym
from lifeboat.data.labelled.hidden_columns import HIDDEN, LABELLED_AT, PREDICTED_AT, PUID, ROW, SOURCE
from lifeboat.data.labelled.labelled_rows import LabelledRows, load_labelled, no_rows, say_apart, stored_schema
from lifeboat.data.table import Checked, check_table
from lifeboat.data.timestamps import format_timestamp
from lifeboat.registry.storage import Storage
from lifeboat.usecase.usecase import UseCase


@dataclass(frozen=True)
class Feedback:
    """The labelled rows of the store, held against the schema.

    Args:
        found: as they were asked, with the hidden columns, and what the store keeps apart.
        checked: the same rows; keys may be null.
        personal: names of the keys of which a pseudonym may be kept.
        pseudonyms: by which it was made.
    """

    found: LabelledRows
    checked: Checked
    personal: tuple[str, ...] = ()
    pseudonyms: Pseudonyms = NO_PSEUDONYMS

    @property
    def raw(self) -> pa.Table:
        """The rows as they were asked."""
        return self.found.table

    def settled(self, base: pa.Table, id_: str | None) -> dict[str, str]:
        """Whose word holds, by the row's id as the table has it.

        Args:
            base: the table's rows, with their keys.
            id_: name of the key that identifies them.
        """
        kept = self.found.trust.kept
        if id_ is None or id_ not in self.personal or not any(map(is_pseudonym, kept)):
            return kept
        known = self.pseudonyms.names(id_, base.column(id_).drop_null().unique().to_pylist())
        return {known.get(row, row): source for row, source in kept.items()}

    def beside(self, base: pa.Table) -> pa.Table:
        """The rows without a problem, in the order in which their truth came.

        A pseudonym of somebody whom the table knows is the name again, so that they are rows of one.

        Args:
            base: the table's rows, with their keys.

        Raises:
            SettingsError: there are pseudonyms, and nothing tells whose they are.
        """
        timed = self.checked.table
        for name in (PREDICTED_AT, LABELLED_AT, SOURCE, PUID, ROW):
            timed = timed.append_column(name, self.raw.column(name))
        good = Checked(timed, self.checked.problems).good
        for name in self.personal:
            kept = good.column(name).to_pylist()
            if not any(map(is_pseudonym, filter(None, kept))):
                continue
            if not self.pseudonyms:
                raise SettingsError(
                    f"labelled rows have pseudonyms of {name}, and without their key nobody knows which rows of the "
                    "table are of the same: give personal_key"
                )
            # Rows from before the key was personal have names as well.
            named = [text for text in kept if text and not is_pseudonym(text)]
            names = self.pseudonyms.names(name, [*base.column(name).drop_null().unique().to_pylist(), *named])
            shown = pa.array([names.get(text, text) for text in kept], good.column(name).type)
            good = good.set_column(good.column_names.index(name), name, shown)
        return good.sort_by([(name, "ascending") for name in (LABELLED_AT, PUID, ROW)])


def read_feedback(
    store: Storage | None,
    usecase: UseCase,
    say: Callable[[str], None],
    *,
    trusted: frozenset[str],
    pseudonyms: Pseudonyms = NO_PSEUDONYMS,
    as_of: datetime | None = None,
) -> Feedback:
    """Reads the labelled rows of a use case; none at all are no error, and without a store there are none.

    Args:
        store: of the labelled rows.
        usecase: whose rows.
        say: told what was read.
        trusted: sources whose rows teach, unless the store's record says otherwise.
        pseudonyms: of personal keys.
        as_of: read as it was known then; now unless given.

    Raises:
        StorageError: the store cannot be read.
    """
    found = no_rows(usecase.schema)
    if store:
        found = load_labelled(store, usecase.name, usecase.schema, trusted=trusted, until=as_of)
    cells = found.table.drop_columns([column.name for column in HIDDEN])
    checked = check_table(cells, stored_schema(usecase.schema), labelled=True, name="labelled rows")
    for key, reason in found.refused.items():
        say(f"left out {key}: {reason}")
    if found.parts or as_of:
        known = f" as of {format_timestamp(as_of)}" if as_of else ""
        rows, broken = found.table.num_rows, len(checked.problems)
        say(f"read {rows:,} labelled rows from feedback{known}, {broken:,} break the schema")
    if found.until:
        say(f"the last of their truths came at {found.until}: a run as of then takes the same rows")
    for line in say_apart(found.apart):
        say(f"kept apart: {line}")
    return Feedback(found, checked, usecase.schema.personal_keys, pseudonyms)
