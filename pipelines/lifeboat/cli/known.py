"""The use cases that a home knows: whoever ran one by its path or module may call it by its name from then on."""

from __future__ import annotations

import json
import os

from lifeboat.config.errors import UseCaseError
from lifeboat.config.settings import Settings
from lifeboat.system.files import write_text
from lifeboat.usecase.importing import PACKAGE, as_path, list_usecases
from lifeboat.usecase.usecase import load_usecase

FILE = "usecases.json"


def resolve(reference: str, settings: Settings) -> str:
    """A reference that means the same in any folder and process: a path absolute, a known name what it stood for."""
    path = as_path(reference)
    if path is not None:
        return str(path)
    return _read(settings).get(reference, reference)


def remember(name: str, reference: str, settings: Settings) -> None:
    """Keeps what a use case's name stands for in this home.

    Raises:
        UseCaseError: another use case of this name, shipped with Lifeboat or not, has models in this home.
    """
    if reference in (name, name.replace("-", "_")):
        return
    known = _read(settings)
    if reference.startswith(f"{PACKAGE}."):
        if name in known:
            raise UseCaseError(f"{name!r} is {known[name]} in this home: keep {reference} in another, by --home")
        return
    if name not in known and name in list_usecases() and settings.serving_state(name).is_dir():
        raise UseCaseError(
            f"{reference} is called {name!r}, as a use case that Lifeboat ships, and this home serves that: give yours "
            "another name, or another home by --home"
        )
    if known.get(name) != reference:
        write_text(settings.home_path / FILE, json.dumps({**known, name: reference}, indent=1, sort_keys=True) + "\n")


def name_of(reference: str, settings: Settings) -> str:
    """The name of a use case; it is not imported where the home knows it."""
    if settings.serving_state(reference).is_dir():
        return reference
    known = {stood_for: name for name, stood_for in _read(settings).items()}
    return known.get(reference) or load_usecase(reference).name


def _read(settings: Settings) -> dict[str, str]:
    path = settings.home_path / FILE
    # What is no home, or nobody may look into, is said where it is opened.
    if not os.path.isfile(path):  # noqa: PTH113  # Path.is_file raises where it may not look
        return {}
    try:
        return {str(name): str(stood_for) for name, stood_for in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, AttributeError) as error:
        raise UseCaseError(f"{path} cannot be read: {error}; remove it") from error
