"""What a library says of a model, as it may stand in a message: scikit-learn quotes the cell that it cannot take."""

from __future__ import annotations

import re

from lifeboat.config.errors import first_line
from lifeboat.usecase.column import HIDDEN_VALUE
from lifeboat.usecase.schema import Schema

# Names of parameters and classes are quoted as well, and tell nothing of a row.
_QUOTED = re.compile(r"""(['"])(?!\w+\1).*?\1""")
_CELL = re.compile(r"(could not convert string to float: ).*")


def words_of(error: BaseException, schema: Schema) -> str:
    """The first line of an error, without what may be a personal value."""
    text = first_line(error)
    if not any(column.personal for column in schema.columns):
        return text
    return _CELL.sub(rf"\1{HIDDEN_VALUE}", _QUOTED.sub(HIDDEN_VALUE, text))
