"""Alertmanager's webhook, version 4: what of it asks for a retraining, and in which words.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lifeboat.config.placeholders import plain_text

VERSION, ACTION = "4", "retrain"
STATUSES = ("firing", "resolved")
MAX_REASON = 300


class WebhookError(ValueError):
    """A body that is no webhook of Alertmanager's; the message names the field."""


@dataclass(frozen=True)
class Alert:
    """An alert of a webhook, with what the trigger reads of it."""

    status: str
    starts_at: str
    labels: dict[str, str]
    annotations: dict[str, str]

    def asks(self, model: str) -> bool:
        """Whether it wants that model retrained; an alert that names no model means every one."""
        wanted = self.status == "firing" and self.labels.get("action") == ACTION
        return wanted and self.labels.get("model", model) == model


@dataclass(frozen=True)
class Webhook:
    """A group of alerts."""

    group_key: str
    alerts: tuple[Alert, ...]

    def keys(self, model: str) -> tuple[tuple[str, str], ...]:
        """Group and start of every alert that asks for a retraining; empty if none does."""
        return tuple(sorted({(self.group_key, alert.starts_at) for alert in self.alerts if alert.asks(model)}))

    def reason(self, model: str) -> str:
        """Why, for the registry, such as 'drift: Age (LifeboatDrift titanic 1)'.

        An alert is anybody's text: it may not stop the run that it asks for by looking like a placeholder.
        """
        words = dict.fromkeys(_words(alert) for alert in self.alerts if alert.asks(model))
        return one_line(plain_text("; ".join(words)))


def _words(alert: Alert) -> str:
    labels = alert.labels
    name = " ".join(labels[key] for key in ("alertname", "model", "version") if labels.get(key))
    said = alert.annotations.get("reason") or alert.annotations.get("summary")
    return f"{said} ({name})" if said and name else said or name or "an alert without a name"


def one_line(text: str) -> str:
    """The text as one printable line of bounded length, fit to be an argument of a command."""
    bare = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return bare if len(bare) <= MAX_REASON else f"{bare[: MAX_REASON - 1]}…"


def parse_webhook(body: bytes) -> Webhook:
    """Reads a request's body.

    Raises:
        WebhookError: naming the field that is missing or wrong.
    """
    document = parse_object(body)
    if document.get("version") != VERSION:
        raise WebhookError(f"version is {document.get('version')!r}, this reads {VERSION!r}"[:200])
    group_key = text_of(document, "groupKey", "groupKey")
    alerts = document.get("alerts")
    if not isinstance(alerts, list):
        raise WebhookError("alerts is missing or no list")
    _status(document, "status")
    return Webhook(group_key, tuple(_alert(item, f"alerts[{number}]") for number, item in enumerate(alerts)))


def parse_object(body: bytes) -> dict[str, Any]:
    """A JSON object; raises WebhookError."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise WebhookError(f"the body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise WebhookError("the body is no JSON object")
    return document


def _alert(item: Any, place: str) -> Alert:
    if not isinstance(item, dict):
        raise WebhookError(f"{place} is no object")
    return Alert(
        _status(item, f"{place}.status"),
        _time(text_of(item, "startsAt", f"{place}.startsAt"), f"{place}.startsAt"),
        _texts(item.get("labels"), f"{place}.labels"),
        _texts(item.get("annotations") or {}, f"{place}.annotations"),
    )


def _status(item: dict[str, Any], place: str) -> str:
    status = item.get("status")
    if status not in STATUSES:
        raise WebhookError(f"{place} is not {' or '.join(STATUSES)}")
    return str(status)


def _time(text: str, place: str) -> str:
    """The time in UTC, so that one moment has one spelling."""
    problem = WebhookError(f"{place} is no time with a zone, such as 2026-01-31T12:00:00Z")
    try:
        moment = datetime.fromisoformat(text)
        spelt = moment.astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise problem from None
    if moment.tzinfo is None:
        raise problem
    return spelt


def text_of(item: dict[str, Any], key: str, place: str) -> str:
    """A text that is there and that UTF-8 can write; raises WebhookError."""
    text = item.get(key)
    if not isinstance(text, str) or not text or not _can_be_written([text]):
        raise WebhookError(f"{place} is missing or no text")
    return text


def _texts(item: Any, place: str) -> dict[str, str]:
    if not isinstance(item, dict) or not all(isinstance(text, str) for text in item.values()):
        raise WebhookError(f"{place} is missing or no object of texts")
    if not _can_be_written([*item, *item.values()]):
        raise WebhookError(f"{place} holds half a character")
    return item


def _can_be_written(texts: Sequence[str]) -> bool:
    """Not so for a lone surrogate, which JSON can spell."""
    return not any("\ud800" <= letter <= "\udfff" for text in texts for letter in text)
