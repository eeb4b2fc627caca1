"""Small documents in object storage: JSON, an object each."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from lifeboat.config.errors import DataError, SettingsError
from lifeboat.registry.storage import Storage

T = TypeVar("T")


def text_of(document: Mapping[str, Any]) -> str:
    """How a document is written: the same one always alike."""
    return json.dumps(document, sort_keys=True, ensure_ascii=False)


def write_document(storage: Storage, key: str, document: Mapping[str, Any]) -> None:
    """Writes a document, whole or not at all; raises StorageError."""
    with tempfile.TemporaryDirectory(prefix="lifeboat-") as folder:
        path = Path(folder) / "document.json"
        path.write_text(text_of(document), encoding="utf-8")
        storage.upload(path, key)


def read_document(storage: Storage, key: str, make: Callable[[dict[str, Any]], T], problem: str) -> T:
    """Reads a document.

    Args:
        storage, key: where it is.
        make: gives what it says; ValueError, TypeError, KeyError and SettingsError mean that it is none of that kind.
        problem: what is then the matter with it.

    Raises:
        DataError: it is no such document; names its key.
        StorageError: it cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="lifeboat-") as folder:
        path = Path(folder) / "document.json"
        storage.download(key, path)
        try:
            return make(json.loads(path.read_bytes()))
        except (ValueError, TypeError, KeyError, SettingsError) as error:
            raise DataError(f"{problem}: {error}", file=key) from error
