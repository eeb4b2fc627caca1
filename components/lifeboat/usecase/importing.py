"""Importing a use case: by name, by dotted module or by path; and the digest of its source."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

from lifeboat.config.errors import UseCaseError

PACKAGE = "lifeboat.usecases"
# What decides, beside the source, whether a candidate can be exported.
_LIBRARIES = ("numpy", "onnx", "onnxruntime", "scikit-learn", "skl2onnx")
# That need not be installed.
_BOOSTERS = ("catboost", "lightgbm", "optuna", "xgboost", "xgboost-cpu")
_MOST_FILES = 5_000
# The extra of Lifeboat's that brings a module which use cases import.
_EXTRAS = {"catboost": "catboost", "lightgbm": "boosters", "xgboost": "boosters"}


def import_reference(reference: str) -> ModuleType:
    """The module of a use case.

    Args:
        reference: a module of somebody's own (its name as Python imports it), the name of a shipped use case, or the
            path of a folder with an `__init__.py` or of a .py file, which has a slash in it or ends in .py.

    Raises:
        UseCaseError: there is no such module, or importing it fails.
    """
    path = as_path(reference)
    if path is not None:
        return _import_path(path)
    module = reference.replace("-", "_")
    # Somebody's own stands first: a use case that Lifeboat ships later takes its name from nobody.
    shipped = module.replace("_", "-") in list_usecases() and not has_module(module)
    name = f"{PACKAGE}.{module}" if shipped else module
    return _import(name, f"no use case {reference!r}; there are: {', '.join(list_usecases())}, or give a path")


def as_path(reference: str) -> Path | None:
    """The path that a reference is, absolute; None where it is a name."""
    return Path(reference).expanduser().resolve() if "/" in reference or reference.endswith(".py") else None


def has_module(module: str) -> bool:
    """Whether a name is that of an installed module, not counting a mere folder, which is nobody's."""
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.origin is not None


def list_usecases() -> list[str]:
    """Names of the use cases that the project ships."""
    folder = Path(importlib.import_module(PACKAGE).__path__[0])
    return sorted(path.parent.name.replace("_", "-") for path in folder.glob("*/__init__.py"))


def reference_of(usecase: Any, preferred: str) -> str:
    """The reference by which another process imports a use case that this one has.

    Args:
        usecase: the USECASE of a module that this process imported.
        preferred: a reference that is given where it is one of this use case and another process finds the same by it:
            not where this one alone was told of its folder.

    Raises:
        UseCaseError: no module holds it, so that nobody else can have it.
    """
    holders = {
        module: found
        for module, found in list(sys.modules.items())
        if module != "__main__" and getattr(found, "__file__", None) and vars(found).get("USECASE") is usecase
    }
    name = preferred.replace("-", "_")
    if name in holders and _found_elsewhere(name) == holders[name].__file__:
        return preferred
    if not holders:
        raise UseCaseError(
            "no imported module holds this as its USECASE, and a run's steps are processes of their own, which have to "
            "import it: write it to a .py file or a package"
        )
    # Others may have imported it as well: rather the package that its features come from.
    place = f"{getattr(usecase.features, '__module__', '')}."
    module = min(holders, key=lambda one: (not one.startswith(PACKAGE), not place.startswith(f"{one}."), len(one)))
    shipped = module.removeprefix(f"{PACKAGE}.")
    if shipped == module:
        return str(_place(holders[module]))
    return module if has_module(shipped) else shipped


def _found_elsewhere(name: str) -> str:
    """The file that a process which is started now finds by a module's name; empty where it finds none."""
    code = "import importlib.util, sys; print(importlib.util.find_spec(sys.argv[1]).origin)"
    found = subprocess.run([sys.executable, "-P", "-c", code, name], capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else ""


def _import(name: str, unknown: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except UseCaseError:
        raise
    except Exception as error:  # a use case is anybody's code: whatever it raises is its own fault
        if isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}."):
            raise UseCaseError(unknown) from error
        extra = _EXTRAS.get(getattr(error, "name", None) or "")
        hint = f"; pip install 'lifeboat[{extra}]' brings it" if extra else ""
        raise UseCaseError(f"{name} cannot be imported: {type(error).__name__}: {error}{hint}") from error


def _import_path(path: Path) -> ModuleType:
    """A folder or file as part of the outermost package that it lies in, as its own imports expect."""
    file = path / "__init__.py" if path.is_dir() else path
    if not file.is_file():
        problem = "has no __init__.py" if path.is_dir() else "is no folder and no file"
        raise UseCaseError(f"{path} {problem}: a use case is a folder with an __init__.py that holds a USECASE")
    parts, root = [path.stem], path.parent
    while (root / "__init__.py").is_file():
        parts, root = [root.name, *parts], root.parent
    if not all(part.isidentifier() for part in parts):
        raise UseCaseError(f"{path}: {'.'.join(parts)} is no name of a Python module: rename the folder")
    if str(root) not in sys.path:
        # First, as Python puts the folder of a script: its name is its own, whatever is installed.
        sys.path.insert(0, str(root))
    name = ".".join(parts)
    module = _import(name, f"{path} cannot be imported as {name}")
    if module.__file__ is None or Path(module.__file__).resolve() != file:
        raise UseCaseError(f"{path}: the name {name} is already that of {module.__file__}: rename the folder")
    return module


def own_digest(module: ModuleType) -> str:
    """The sha256 of a use case's own Python files."""
    return _digest([_place(module)])


def source_digest(module: ModuleType) -> str:
    """The sha256 of all that decides what becomes of its candidates: its package, Lifeboat's components, the libraries.

    Raises:
        UseCaseError: its package has more files than a use case should.
    """
    parts = module.__name__.split(".")
    # `lifeboat` is no package but the place of several.
    outermost = ".".join(parts[:2]) if parts[0] == "lifeboat" else parts[0]
    package = _place(sys.modules[outermost])
    versions = repr([(name, _version(name)) for name in (*_LIBRARIES, *_BOOSTERS)])
    return hashlib.sha256(f"{_digest([package, Path(__file__).parents[1]])} {versions}".encode()).hexdigest()


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def source_folder(module: ModuleType) -> Path:
    """The folder of a use case's source."""
    place = _place(module)
    return place if place.is_dir() else place.parent


def _place(module: ModuleType) -> Path:
    """The folder of a package, the file of a module alone."""
    if module.__file__ is None:  # a package without __init__.py has only places
        return Path(next(iter(module.__path__))).resolve()
    path = Path(module.__file__).resolve()
    return path.parent if path.name == "__init__.py" else path


def _digest(places: Iterable[Path]) -> str:
    files = sorted({file for place in places for file in ([place] if place.is_file() else place.rglob("*.py"))})
    if len(files) > _MOST_FILES:
        raise UseCaseError(f"the use case lies among {len(files):,} Python files: give it a folder of its own")
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()
