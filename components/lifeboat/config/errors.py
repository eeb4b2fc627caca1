"""Every error a user can meet, as a tree; each message is one sentence that names the facts.

LifeboatError
├── SettingsError      a setting that is unknown or has no valid value
├── SetupError         an environment of a server that cannot be made
├── UseCaseError       a use case that cannot be found or contradicts itself
├── DataError          rows that cannot be used: names file, row, column and limit
├── BundleError        a bundle that is incomplete, altered or of another format
├── StorageError       a file or object that cannot be read or written
├── RegistryError      the model registry is locked, unreachable or contradicts the request
├── GateError          a verdict that is missing, failed or belongs to another bundle
├── DeployError        a rollout that did not finish; the old version keeps serving
│   ├── LeaseError     another rollout goes on; names its holder
│   └── PortError      a port that another program, or another server of ours, has
└── PipelineError      a step of a run failed
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class LifeboatError(Exception):
    """Base of all errors with a message meant for the user.

    An error's attributes are facts that JSON knows (texts, numbers, None), so that another process can raise it again.
    """

    def to_document(self) -> dict[str, Any]:
        """Class, message and facts, of which `from_document` makes it again."""
        return {"error": type(self).__name__, "message": str(self), "facts": vars(self)}

    @staticmethod
    def from_document(document: dict[str, Any]) -> LifeboatError:
        """The error that another process had; of the base class where this process has not loaded its own."""
        known = {kind.__name__: kind for kind in _tree(LifeboatError)}
        kind = known.get(document["error"], LifeboatError)
        # Not by its constructor, which makes the message of the facts.
        error = kind.__new__(kind, document["message"])
        vars(error).update(document["facts"])
        return error


class SettingsError(LifeboatError):
    """A setting is unknown or has no valid value."""


class SetupError(LifeboatError):
    """An environment of a server cannot be made."""


class UseCaseError(LifeboatError):
    """A use case cannot be found or contradicts itself."""


class DataError(LifeboatError):
    """Rows cannot be used.

    Args:
        problem: what is wrong, with the value and the limit it breaks.
        file: path or URL of the table.
        row: 1-based data row (the header is not counted).
        column: name of the column.
    """

    def __init__(
        self, problem: str, *, file: str | None = None, row: int | None = None, column: str | None = None
    ) -> None:
        place = [file, f"row {row}" if row is not None else None, f"column {column}" if column else None]
        super().__init__(": ".join([*filter(None, [", ".join(filter(None, place))]), problem]))
        self.problem, self.file, self.row, self.column = problem, file, row, column


class BundleError(LifeboatError):
    """A bundle is incomplete, altered or of another format."""


class StorageError(LifeboatError):
    """A file or object cannot be read or written."""


class RegistryError(LifeboatError):
    """The model registry is locked, unreachable or contradicts the request."""


class GateError(LifeboatError):
    """A verdict is missing, failed or belongs to another bundle."""


class DeployError(LifeboatError):
    """A rollout did not finish; the version that served before keeps serving."""


class LeaseError(DeployError):
    """Another rollout of the same resource goes on.

    Args:
        problem: what the holder does, or did.
        holder: of the Lease.
    """

    def __init__(self, problem: str, *, holder: str | None = None) -> None:
        super().__init__(f"another deployment is in progress: {problem}")
        self.holder = holder


class PortError(DeployError):
    """A port that another program, or another server of ours, has."""


class PipelineError(LifeboatError):
    """A step of a pipeline run failed.

    Args:
        problem: what went wrong.
        step: that failed.
        log: path of the run's log.
    """

    def __init__(self, problem: str, *, step: str | None = None, log: str | None = None) -> None:
        failed, more = f"step {step} failed: " if step else "", f" (log: {log})" if log else ""
        super().__init__(f"{failed}{problem}{more}")
        self.problem, self.step, self.log = problem, step, log


def _tree(kind: type[LifeboatError]) -> Iterator[type[LifeboatError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _tree(below)


def first_line(error: BaseException) -> str:
    """The first line of a library's message, which may run over many; the error's kind where it has none."""
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
