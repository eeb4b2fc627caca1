"""Writing a CSV file and reading it with what is said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lifeboat.config.errors import DataError
from lifeboat.data.csv.dialect import PLAIN, Csv
from lifeboat.data.reading import read_table


def written(folder: Path, content: str | bytes, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(folder: Path, content: str | bytes, csv: Csv = PLAIN) -> tuple[dict[str, list[str]], list[str]]:
    """The columns, and what was assumed of the file."""
    said: list[str] = []
    return read_table(written(folder, content), csv=csv, assume=said.append).to_pydict(), said


def refused(folder: Path, content: str | bytes, csv: Csv = PLAIN) -> Any:
    """The error, which names the file and is one line."""
    path = written(folder, content)
    with pytest.raises(DataError) as error:
        read_table(path, csv=csv)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    return error.value
