"""What every program of ours lets one see of itself: the settings of its traces and of its log's level."""

from __future__ import annotations

from dataclasses import dataclass, fields

from lifeboat.config.errors import SettingsError
from lifeboat.config.options import option

LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True)
class ObservedSettings:
    """See each field's help."""

    traces: str = option(
        "",
        "URL of a receiver of OpenTelemetry's OTLP by HTTP, such as http://127.0.0.1:4318, that takes traces; none are "
        "made unless set",
    )
    trace_share: float = option(
        1.0, "share of the requests that are traced, 0 to 1, where the caller's traceparent does not decide"
    )
    log_level: str = option("info", f"least level of a line of the log: {', '.join(LEVELS)}")
    log_level_file: str = option(
        "",
        "file that may hold another level, looked at each second; unless set log-level in the home, where there is one",
    )

    def check_observed(self) -> None:
        """Refuses a share or a level that is none; raises SettingsError."""
        if not 0 <= self.trace_share <= 1:
            raise SettingsError(f"trace_share is {self.trace_share:g}, it must be 0 to 1")
        if self.log_level not in LEVELS:
            raise SettingsError(f"log_level is {self.log_level!r}, not one of {', '.join(LEVELS)}")

    @property
    def observed(self) -> dict[str, str]:
        """These settings by name, as texts, for a program that this one starts; without those that are not set."""
        values = {spec.name: getattr(self, spec.name) for spec in fields(ObservedSettings)}
        return {name: str(value) for name, value in values.items() if value != ""}
