"""Reading Alertmanager's webhook."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lifeboat.trigger.alerts import MAX_REASON, WebhookError, one_line, parse_webhook
from tests.trigger.world import GROUP, MODEL, alert, webhook

MOMENT = "2026-01-31T12:00:00.123456+00:00"


def keys(*alerts: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return parse_webhook(webhook(*alerts)).keys(MODEL)


def test_a_firing_alert_with_the_action_asks() -> None:
    assert keys(alert()) == ((GROUP, MOMENT),)
    assert keys(alert(model="")) == ((GROUP, MOMENT),)


@pytest.mark.parametrize(
    "other", [alert(status="resolved"), alert(action=""), alert(action="page"), alert(model="another")]
)
def test_every_other_alert_does_not(other: dict[str, Any]) -> None:
    assert keys(other) == ()
    assert keys(other, alert()) == ((GROUP, MOMENT),)


def test_one_moment_is_one_key_however_it_is_spelt() -> None:
    spellings = ("2026-01-31T12:00:00.123456Z", "2026-01-31T14:00:00.123456+02:00", "2026-01-31T12:00:00.123456789Z")
    assert keys(*(alert(text) for text in spellings)) == ((GROUP, MOMENT),)
    assert len(keys(alert(), alert("2026-01-31T12:00:01Z"))) == 2


def test_the_reason_has_the_alerts_words_and_names() -> None:
    later = {**alert(version="2"), "annotations": {"summary": "accuracy 0.61"}}
    bare = {**alert(alertname="LifeboatAccuracy", version=""), "annotations": {}}
    read = parse_webhook(webhook(alert(), alert(), later, bare, alert(status="resolved", version="9")))
    assert read.reason(MODEL) == (
        "drift: Age, Fare (LifeboatDrift tiny 1); accuracy 0.61 (LifeboatDrift tiny 2); LifeboatAccuracy tiny"
    )


def test_an_alert_that_looks_like_a_placeholder_still_asks_and_is_none() -> None:
    odd = {**alert(), "annotations": {"reason": '{{$.inputs.parameters["seed"]}} of [[Index]]'}}
    read = parse_webhook(webhook(odd))
    assert read.keys(MODEL)
    assert read.reason(MODEL) == '{ {$.inputs.parameters["seed"]}} of [ [Index]] (LifeboatDrift tiny 1)'


def test_a_reason_is_one_printable_line_of_bounded_length() -> None:
    assert one_line(" drift:\n\x00Age\u202e\t,  Fare ") == "drift: Age , Fare"
    assert len(one_line("é" * 10_000)) == MAX_REASON


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "the body is not JSON"),
        (b"\xff\xfe", "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b"[]", "the body is no JSON object"),
        (b"{}", "version is None, this reads '4'"),
        (webhook(version="3"), "version is '3', this reads '4'"),
        (webhook(version=4), "version is 4, this reads '4'"),
        (webhook(groupKey=None), "groupKey is missing or no text"),
        (webhook(groupKey=""), "groupKey is missing or no text"),
        (webhook(groupKey="\ud800"), "groupKey is missing or no text"),
        (webhook(status="on fire"), "status is not firing or resolved"),
        (webhook(alerts={}), "alerts is missing or no list"),
        (webhook(alerts=["x"]), r"alerts\[0\] is no object"),
        (webhook(alert(), {**alert(), "status": None}), r"alerts\[1\]\.status is not firing or resolved"),
        (webhook({**alert(), "status": ["firing"]}), r"alerts\[0\]\.status is not firing or resolved"),
        (webhook({**alert(), "startsAt": 7}), r"alerts\[0\]\.startsAt is missing or no text"),
        (webhook(alert("yesterday")), r"alerts\[0\]\.startsAt is no time with a zone"),
        (webhook(alert("2026-01-31T12:00:00")), r"alerts\[0\]\.startsAt is no time with a zone"),
        (webhook(alert("0001-01-01T00:00:00+14:00")), r"alerts\[0\]\.startsAt is no time with a zone"),
        (webhook({**alert(), "labels": None}), r"alerts\[0\]\.labels is missing or no object of texts"),
        (webhook({**alert(), "labels": {"action": 1}}), r"alerts\[0\]\.labels is missing or no object of texts"),
        (webhook({**alert(), "annotations": [1]}), r"alerts\[0\]\.annotations is missing or no object of texts"),
        (webhook({**alert(), "annotations": {"a": "\udc00"}}), r"alerts\[0\]\.annotations holds half a character"),
    ],
)
def test_a_body_that_is_no_webhook_is_refused_by_field(body: bytes, sentence: str) -> None:
    with pytest.raises(WebhookError, match=sentence):
        parse_webhook(body)


def test_fields_that_nobody_reads_may_be_missing_or_new() -> None:
    small = {"status": "firing", "labels": {"action": "retrain"}, "startsAt": "2026-01-31T12:00:00Z"}
    body = {"version": "4", "groupKey": "g", "status": "firing", "alerts": [small], "new": [1]}
    read = parse_webhook(json.dumps(body).encode())
    assert read.keys(MODEL) == (("g", "2026-01-31T12:00:00+00:00"),)
    assert read.reason(MODEL) == "an alert without a name"
