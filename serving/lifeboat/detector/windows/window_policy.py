"""The policy of a version's windows, as its bundle says, and which class a score is."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from lifeboat.config.errors import BundleError
from lifeboat.model.decision import HALF, Decision
from lifeboat.usecase.drift_policy import DriftPolicy


@dataclass(frozen=True)
class WindowPolicy(DriftPolicy):
    """The manifest's `drift`; a setting that an older bundle lacks has its default.

    Args:
        threshold: of the bundle's decision.
    """

    threshold: float = HALF

    @classmethod
    def of_manifest(cls, manifest: dict[str, Any]) -> WindowPolicy:
        """Reads the settings.

        Raises:
            BundleError: one is no number or beyond its limit.
        """
        given = {**manifest.get("drift", {}), "threshold": Decision.of_manifest(manifest).threshold}
        known = {spec.name: given[spec.name] for spec in fields(cls) if spec.name in given}
        for name, value in known.items():
            if type(value) not in (int, float) and (name, value) != ("accuracy", None):
                raise BundleError(f"bundle.json: drift.{name} is {value!r}, not a number")
        policy = cls(**known)
        if policy.problem:
            raise BundleError(f"bundle.json: drift.{policy.problem}")
        return policy

    def to_dict(self) -> dict[str, Any]:
        """For the database."""
        return asdict(self)
