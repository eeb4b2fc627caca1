"""Writing a project: its files from templates, whole or not at all."""

from __future__ import annotations

import json
import keyword
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import jinja2

from lifeboat.config.errors import StorageError, UseCaseError
from lifeboat.config.settings import installed_version
from lifeboat.project.inference import Guess, TableGuess
from lifeboat.usecase.importing import has_module, list_usecases
from lifeboat.usecase.schema import Column, Label

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
_TEMPLATES = Path(__file__).parent / "templates"
# What a package's data may not be called, and its place in the project.
_PLACES = {"gitignore": ".gitignore", "dockerignore": ".dockerignore", "github": ".github"}
# So many parts of the rows are judged by themselves.
_MOST_SLICES = 3


@dataclass(frozen=True)
class NewProject:
    """What a project is made of.

    Args:
        name: of the use case.
        title: one line for people.
        table: a local file.
        guess: what the table is taken for.
    """

    name: str
    title: str
    table: Path
    guess: TableGuess

    @property
    def package(self) -> str:
        """The name of its Python package."""
        return package_of(self.name)


def package_of(name: str) -> str:
    """The Python package of a use case's name."""
    return name.replace("-", "_")


def check_name(name: str) -> None:
    """Raises UseCaseError where a project cannot be called so."""
    package = package_of(name)
    if not _NAME.fullmatch(name):
        raise UseCaseError(f"the name {name!r} is not lower case letters, digits and hyphens, 40 at most")
    if name in list_usecases():
        raise UseCaseError(f"{name!r} is a use case that Lifeboat ships: give yours another name")
    if keyword.iskeyword(package) or package in sys.stdlib_module_names or has_module(package):
        raise UseCaseError(f"{package!r} is a module of Python or of an installed package: choose another name")


def write_project(project: NewProject, folder: Path) -> list[Path]:
    """Writes a project's files.

    Args:
        project: what it is made of.
        folder: must not be there, or be empty.

    Returns:
        The files, from the folder.

    Raises:
        StorageError: the folder is there and not empty, or cannot be written.
    """
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise StorageError(f"{folder} is there already and not empty: choose another name")
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
        try:
            for place, content in _files(project):
                (temporary / place).parent.mkdir(parents=True, exist_ok=True)
                (temporary / place).write_text(content, encoding="utf-8")
            (temporary / "data").mkdir()
            shutil.copyfile(project.table, temporary / "data" / project.table.name)
            temporary.chmod(0o755)
            temporary.replace(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise StorageError(f"{error.filename or folder} cannot be written: {error.strerror or error}") from error
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def _files(project: NewProject) -> Iterator[tuple[str, str]]:
    """The place of each file in the project, and what is in it."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # Python and TOML, whose texts have filters of their own
    )  # fmt: skip
    environment.filters.update(py=_py, toml=_toml, comment=_one_line, docstring=_docstring, column=_column)
    values = _values(project)
    for path in sorted(_TEMPLATES.rglob("*")):
        if not path.is_file():
            continue
        first, *rest = path.relative_to(_TEMPLATES).parts
        place = "/".join([_PLACES.get(first, first), *rest]).replace("/package/", f"/{project.package}/")
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".j2":
            place, text = place.removesuffix(".j2"), environment.from_string(text).render(values)
        yield place, text


def _values(project: NewProject) -> dict[str, Any]:
    guess = project.guess
    by_role = {role: [one for one in guess.guesses if one.role == role] for role in ("input", "key", "left out")}
    parts = list(_parts(by_role["input"]))
    few = [one.column.name for one in by_role["input"] if one.column.categories or one.column.kind == "boolean"]
    requirement, source = _lifeboat()
    return {
        "name": project.name, "package": project.package, "title": project.title, "table": project.table.name,
        "inputs": by_role["input"], "keys": by_role["key"], "left_out": by_role["left out"],
        "label": guess.label.name, "declared": _label(guess.label), "kind": guess.label.kind, "id": guess.id,
        "slices": few[:_MOST_SLICES],
        "parts": parts, "transformers": sorted({part["transformer"].partition("(")[0] for part in parts}),
        "requirement": requirement, "source": source, "version": installed_version(),
    }  # fmt: skip


def _parts(inputs: list[Guess]) -> Iterator[dict[str, Any]]:
    """The parts of the features: numbers as they are, a flag for each category, and flags for what is missing."""
    moments = [one.column for one in inputs if one.column.is_datetime]
    numbers = [one.column for one in inputs if one.column.is_number and not one.column.is_datetime]
    learned = [one.column for one in inputs if one.column.kind == "category"]
    texts = [one.column for one in inputs if one.column.categories and not one.column.is_number]
    if numbers:
        yield {"name": "numbers", "transformer": "Floats32()", "columns": [column.name for column in numbers]}
    if moments:
        parts = 'DateParts(("month", "day of week", "hour"))'
        yield {"name": "moments", "transformer": parts, "columns": [column.name for column in moments]}
    if learned:
        yield {"name": "codes", "transformer": "CategoryCodes()", "columns": [column.name for column in learned]}
    for column in texts:
        flags = f"CategoryFlags({_py(column.categories)})"
        yield {"name": f"is {column.name}", "transformer": flags, "columns": [column.name]}
    for name, columns in (("missing numbers", [*numbers, *moments]), ("missing texts", texts)):
        if missing := [column.name for column in columns if column.nullable]:
            yield {"name": name, "transformer": "MissingFlag()", "columns": missing}


def _lifeboat() -> tuple[str, str]:
    """The requirement of this Lifeboat, and where uv finds it if no package index has it: PEP 610 says."""
    version = installed_version()
    try:
        text = metadata.distribution("lifeboat").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        text = None
    if text is None:
        return f"lifeboat[pipeline]=={version}", ""
    origin = json.loads(text)
    url = origin["url"]
    if "vcs_info" in origin:
        return "lifeboat[pipeline]", f"git = {_toml(url)}, rev = {_toml(origin['vcs_info']['commit_id'])}"
    if not url.startswith("file://"):
        return "lifeboat[pipeline]", f"url = {_toml(url)}"
    path = _toml(unquote(urlsplit(url).path))
    editable = origin.get("dir_info", {}).get("editable", False)
    return "lifeboat[pipeline]", f"path = {path}{', editable = true' if editable else ''}"


def _toml(text: str) -> str:
    """A basic string of TOML, which is written as JSON's."""
    return json.dumps(text, ensure_ascii=False)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _docstring(text: str) -> str:
    """The first line of a docstring; quotes and backslashes in it would end it, or mean something else."""
    return '"""' + _one_line(text.removeprefix('"""')).replace("\\", "/").replace('"', "'")


def _py(value: Any) -> str:
    """A value as Python, with the double quotes of most formatters."""
    if isinstance(value, str):
        return repr(value) if '"' in value else '"' + repr(value + '"')[1:-2] + '"'
    if isinstance(value, tuple | list):
        left, right = "()" if isinstance(value, tuple) else "[]"
        comma = "," if isinstance(value, tuple) and len(value) == 1 else ""
        return left + ", ".join(map(_py, value)) + comma + right
    return repr(value)


def _column(column: Column) -> str:
    """The declaration as Python: what is not as it is by default."""
    # Which texts mean a null is derived where it is not declared.
    return _declared(column, ("name", "kind"), left_out=("na",))


def _label(label: Label) -> str:
    """The declaration as Python."""
    return _declared(label, ("name",))


def _declared(value: Any, places: tuple[str, ...], left_out: tuple[str, ...] = ()) -> str:
    """A dataclass as Python: some fields by their places, and by name what is not as it is by default."""
    shown = [_py(getattr(value, name)) for name in places]
    for spec in fields(value):
        given = getattr(value, spec.name)
        if spec.name not in (*places, *left_out) and (spec.default is MISSING or given != spec.default):
            shown.append(f"{spec.name}={_py(given)}")
    return f"{type(value).__name__}({', '.join(shown)})"
