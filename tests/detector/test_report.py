"""The report and the metrics have the form that page, alerts and dashboards rely on."""

from __future__ import annotations

import re
import time
from pathlib import Path

from lifeboat.detector.performance.labels import MEANINGS
from tests.detector.world import add_bundle, detector, people, prediction, predictions, truth
from tests.server.world import call

OF_VERSION = {
    "lifeboat_drift_window_rows", "lifeboat_drift_alarm", "lifeboat_drift_online_alarm", "lifeboat_live_accuracy",
    "lifeboat_live_log_loss", "lifeboat_live_calibration_error", "lifeboat_live_rows", "lifeboat_live_accuracy_bound",
}  # fmt: skip
OF_FEATURE = {
    "lifeboat_drift_effect", "lifeboat_drift_missing", "seldon_metric_drift_is_drift", "seldon_metric_drift_distance",
    "seldon_metric_drift_p_val", "seldon_metric_drift_threshold",
}  # fmt: skip
OTHERS = {
    "lifeboat_drift_events_total": "type", "lifeboat_drift_duplicates_total": "", "lifeboat_drift_waiting": "",
    "lifeboat_drift_held": "", "lifeboat_drift_storage_up": "", "lifeboat_drift_broken_databases": "",
    "lifeboat_drift_refused_total": "reason", "lifeboat_drift_last_event_timestamp_seconds": "",
    "lifeboat_drift_windows_total": "model,result,version", "lifeboat_drift_judge_up": "",
    "lifeboat_drift_judge_seconds_count": "", "lifeboat_feedback_rows_total": "result",
    "lifeboat_labelled_rows_total": "",
}  # fmt: skip


def test_a_real_verdict_with_everything_around_it(tmp_path: Path) -> None:
    """With the real judge: a shift of 30 years is found by Alibi Detect and no other feature is."""
    store = tmp_path / "store"
    digest = add_bundle(store, online=400)
    started = time.time()
    with detector(
        store, tmp_path / "drift.db", "--judge", "lifeboat.detector.drift_test", "--export-seconds", "1"
    ) as process:
        process.post(predictions(digest, people(200, seed=11)))
        process.settled()
        process.post(predictions(digest, people(200, seed=12, older=30)))
        rows = people(40, seed=4)
        process.post([*prediction(digest, rows, "p"), truth("p", *[1] * 40)])
        process.post(truth_of_class(digest))
        found = process.until(
            lambda report: (
                [one["state"] for one in report["models"][0]["windows"]] == ["judged"] * 2
                and report["models"][0]["online"]["rows"] == 440
            ),
            200,
        )
        model = found["models"][0]
        calm, shifted = model["windows"]
        assert (calm["drift"], shifted["drift"], shifted["alarm"]) == (False, True, False)
        assert set(shifted["p_values"]) == {"name", "port", "age", "class", "alone", "score"}
        assert [one["name"] for one in model["latest"]["features"] if one["drift"]] == ["age", "score"]
        assert model["latest"]["number"] == 2
        assert model["online"] == {"alarm": True, "rows": 440}
        assert started < calm["opened"] <= calm["closed"] <= shifted["closed"] < time.time()
        assert set(model) >= {
            "model", "version", "digest", "active", "alarm", "alarms", "of", "window", "windows", "latest", "online",
            "live", "history",
        }  # fmt: skip
        assert set(found["events"]) == {"accepted", "duplicates", "refused", "waiting", "held", "last"}
        assert set(found["feedback"]) == {*MEANINGS, "exported"}
        assert found["judge"] == {"state": "ready", "reason": ""}
        _check_metrics(call(process.url + "/metrics").body.decode())
        assert process.stop() == 0


def truth_of_class(digest: str) -> list[dict[str, object]]:
    """An event that is refused, so that this counter has a series too."""
    return prediction(digest, [{**people(1)[0], "class": 9}])


def _check_metrics(text: str) -> None:
    series = re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", text, re.MULTILINE)
    labels = {name: ",".join(sorted(re.findall(r"(\w+)=\"", given))) for name, given in series}
    wanted = OTHERS | dict.fromkeys(OF_VERSION, "model,version") | dict.fromkeys(OF_FEATURE, "feature,model,version")
    assert {name: labels.get(name) for name in wanted} == wanted
    assert 'seldon_metric_drift_is_drift{feature="age",model="tiny",version="1"} 1.0' in text
    assert 'lifeboat_drift_windows_total{model="tiny",result="judged",version="1"} 2.0' in text
    assert 'lifeboat_drift_refused_total{reason="schema"} 1.0' in text
    assert 'lifeboat_drift_online_alarm{model="tiny",version="1"} 1.0' in text
