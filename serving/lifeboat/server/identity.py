"""Which model, version and bundle a server is: in every answer, metric and event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lifeboat.model.bundle import Bundle
from lifeboat.server.settings import ServerSettings
from lifeboat.tasks.decision import Decision
from lifeboat.tasks.task import Task
from lifeboat.usecase.schema import Schema


@dataclass(frozen=True)
class Identity:
    """What a server serves.

    Args:
        name, version: of the model.
        digest: of its bundle.
    """

    name: str
    version: str
    digest: str

    @classmethod
    def of(cls, bundle: Bundle, settings: ServerSettings) -> Identity:
        """The settings' name and version, else the bundle's use case and the start of its digest."""
        name = settings.model_name or bundle.usecase
        return cls(name, settings.model_version or bundle.digest[:12], bundle.digest)

    @property
    def tags(self) -> dict[str, str]:
        """For `meta.tags` of each answer."""
        return {"model_name": self.name, "model_version": self.version, "bundle_digest": self.digest}


@dataclass(frozen=True)
class ModelMetadata:
    """What there is to know of a model, for each protocol to word.

    Args:
        identity: which one it is.
        usecase: what it was trained for.
        schema: of its rows.
        task: what it answers.
        decision: what is made of an answer.
        title: of the use case, a line; empty where its bundle has none.
        store_keys: names of the columns by which a feature server is asked for what a request leaves out.
    """

    identity: Identity
    usecase: str
    schema: Schema
    task: Task[Any, Any]
    decision: Decision
    title: str
    store_keys: tuple[str, ...] = ()

    @classmethod
    def of(cls, bundle: Bundle, settings: ServerSettings) -> ModelMetadata:
        """That of a bundle as the settings name it."""
        said = (bundle.usecase, bundle.schema, bundle.task, bundle.decision, str(bundle.manifest.get("title", "")))
        keys = tuple(sorted({key for view in bundle.views.values() for key in view["keys"]}))
        return cls(Identity.of(bundle, settings), *said, store_keys=keys)
