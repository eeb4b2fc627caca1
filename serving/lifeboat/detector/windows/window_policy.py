"""The policy of a version's windows, as its bundle says, and what its answers mean."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any

from lifeboat.config.errors import BundleError
from lifeboat.model.bundle import Bundle
from lifeboat.tasks.decision import Decision
from lifeboat.tasks.kinds import task_of
from lifeboat.tasks.task import Task
from lifeboat.usecase.drift_policy import DriftPolicy
from lifeboat.usecase.label import BinaryLabel, Label

# Of a version that the database has from when there was no other kind of label.
_UNNAMED = BinaryLabel("label", ("0", "1")).to_document()


@dataclass(frozen=True)
class WindowPolicy(DriftPolicy):
    """The manifest's `drift`; a setting that an older bundle lacks has its default.

    Args:
        label, decision: of the bundle, as documents.
    """

    label: dict[str, Any] = field(default_factory=lambda: dict(_UNNAMED))
    decision: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of_bundle(cls, bundle: Bundle) -> WindowPolicy:
        """That of a bundle; raises as `of_manifest`."""
        label, decision = bundle.schema.label.to_document(), bundle.decision.to_manifest()
        return replace(cls.of_manifest(bundle.manifest), label=label, decision=decision)

    @classmethod
    def of_manifest(cls, manifest: dict[str, Any]) -> WindowPolicy:
        """Reads the settings, but for what answers mean.

        Raises:
            BundleError: one is no number or beyond its limit.
        """
        given = manifest.get("drift", {})
        known = {spec.name: given[spec.name] for spec in fields(DriftPolicy) if spec.name in given}
        for name, value in known.items():
            if type(value) not in (int, float) and (name not in ("accuracy", "error") or value is not None):
                raise BundleError(f"bundle.json: drift.{name} is {value!r}, not a number")
        policy = cls(**known)
        if policy.problem:
            raise BundleError(f"bundle.json: drift.{policy.problem}")
        return policy

    @classmethod
    def of_document(cls, document: dict[str, Any]) -> WindowPolicy:
        """Reads what `to_dict` wrote, also when there were only two classes, a threshold and no label."""
        threshold = document.pop("threshold", None)
        return cls(**document) if threshold is None else cls(**document, decision={"threshold": threshold})

    def to_dict(self) -> dict[str, Any]:
        """For the database."""
        return asdict(self)

    @cached_property
    def task(self) -> Task[Any, Any]:
        """What the answers are."""
        return task_of(Label.read(self.label))

    @cached_property
    def answers_decision(self) -> Decision:
        """What is made of them."""
        return self.task.decision.of_manifest({"decision": self.decision})

    @property
    def bound(self) -> float | None:
        """Of the first live figure: the lowest, or the highest where less is better; None for none."""
        higher = self.task.metric(self.task.live[0]).higher_is_better
        return self.accuracy if higher else self.error
