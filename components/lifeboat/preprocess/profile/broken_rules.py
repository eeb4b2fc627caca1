"""Why rows are in quarantine: how many cells of each column broke which rule. No value is said: it may be anything."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from lifeboat.data.table import Checked
from lifeboat.usecase.schema import Column, Schema


@dataclass(frozen=True)
class BrokenRule:
    """A rule of a column's that cells broke.

    Args:
        column: whose cells.
        rule: in words, without a value.
        table, feedback: how many cells of the table, and of rows from feedback.
    """

    column: str
    rule: str
    table: int
    feedback: int


def broken_rules(table: Checked, feedback: Checked, schema: Schema) -> list[BrokenRule]:
    """The most frequent first. A row may have broken several."""
    counts = [
        Counter((problem.column, problem.rule) for problems in checked.problems.values() for problem in problems)
        for checked in (table, feedback)
    ]
    columns = schema.known | ({schema.label.name: schema.label.column} if schema.label.column else {})
    found = [
        BrokenRule(name, in_words(rule, columns.get(name)), counts[0][name, rule], counts[1][name, rule])
        for name, rule in {**counts[0], **counts[1]}
    ]
    return sorted(found, key=lambda one: (-one.table - one.feedback, one.column, one.rule))


def in_words(rule: str, column: Column | None) -> str:
    """What a cell that broke a rule of `Column.problem` is or is not; a label that is no number has one rule."""
    if column is None:
        return "is none of the label's classes"
    words = {
        "null": "is missing",
        "range": f"is outside {column.limits}" if column.is_number else "is outside the limits",
        "category": "is none of the categories",
        "pattern": "does not match the pattern",
        "length": f"has more than {column.max_length} characters",
        "inexact": "is a float where a whole number may be rounded",
        "skipped": "is a time that no clock showed",
        "datetime": "is no datetime",
        "unicode": "is not valid Unicode text",
    }
    return words.get(rule, f"is no {column.kind}")
