"""When a window of a version is tested, what counts as an alarm, and which class a score is: its bundle says so."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from lifeboat.config.errors import BundleError
from lifeboat.model.decision import HALF, Decision


@dataclass(frozen=True)
class WindowPolicy:
    """The manifest's `drift`; a field that an older bundle lacks has its default.

    Args:
        window: rows after which a window closes.
        minimum: rows without which it does not.
        seconds: since its first row, after which it closes if it has the minimum.
        alarms, of: an alarm needs this many drifted windows among the last `of`.
        online: expected rows between two false alarms of the online detector, 0 for none.
        accuracy: the lowest live accuracy, None for no bound.
        threshold: of the bundle's decision.
    """

    window: int = 200
    minimum: int = 100
    seconds: float = 3600.0
    alarms: int = 2
    of: int = 3
    online: int = 0
    accuracy: float | None = None
    threshold: float = HALF

    @classmethod
    def of_manifest(cls, manifest: dict[str, Any]) -> WindowPolicy:
        """Reads the settings.

        Raises:
            BundleError: one is not a number above 0.
        """
        given = {**manifest.get("drift", {}), "threshold": Decision.of_manifest(manifest).threshold}
        known = {spec.name: given[spec.name] for spec in fields(cls) if spec.name in given}
        for name, value in known.items():
            if name == "accuracy" and value is None:
                continue
            if type(value) not in (int, float) or not (value > 0 or name in ("online", "accuracy", "threshold")):
                raise BundleError(f"bundle.json: drift.{name} is {value!r}, not a number above 0")
        rule = cls(**known)
        if rule.minimum > rule.window or rule.alarms > rule.of:
            raise BundleError("bundle.json: drift.minimum is above window, or alarms above of")
        return rule

    def to_dict(self) -> dict[str, Any]:
        """For the database."""
        return asdict(self)
