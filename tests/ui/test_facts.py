"""What the home page says in its own words of servers, drift and labelled rows."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lifeboat.config.settings import NO_DETECTOR, Settings
from lifeboat.data.labelled.trust import write_conflicts
from lifeboat.registry.storage import S3, open_storage
from lifeboat.ui.drift import DriftView, drift_of
from lifeboat.ui.labelled_reader import LabelledReader, LabelledView
from lifeboat.ui.server_figures import ServerFigures, read_figures
from tests.detector import page_state as made
from tests.registry.world import make_bundle
from tests.services.kept import eventually

METRICS = """\
# TYPE lifeboat_request_seconds histogram
lifeboat_request_seconds_bucket{protocol="seldon",status="200",le="0.001"} 0
lifeboat_request_seconds_bucket{protocol="seldon",status="200",le="0.002"} 90
lifeboat_request_seconds_bucket{protocol="seldon",status="200",le="+Inf"} 90
lifeboat_request_seconds_count{protocol="seldon",status="200"} 90
lifeboat_request_seconds_sum{protocol="seldon",status="200"} 0.1
lifeboat_request_seconds_bucket{protocol="v2",status="200",le="0.001"} 0
lifeboat_request_seconds_bucket{protocol="v2",status="200",le="0.002"} 0
lifeboat_request_seconds_bucket{protocol="v2",status="200",le="+Inf"} 10
lifeboat_request_seconds_count{protocol="v2",status="200"} 10
lifeboat_request_seconds_sum{protocol="v2",status="200"} 0.1
lifeboat_request_seconds_bucket{protocol="v2",status="500",le="+Inf"} 7
lifeboat_request_seconds_count{protocol="v2",status="500"} 7
lifeboat_request_seconds_sum{protocol="v2",status="500"} 0.1
lifeboat_request_seconds_bucket{protocol="other",status="200",le="+Inf"} 1000
lifeboat_request_seconds_count{protocol="other",status="200"} 1000
lifeboat_request_seconds_sum{protocol="other",status="200"} 0.1
lifeboat_request_seconds_bucket{protocol="explain",status="200",le="+Inf"} 500
lifeboat_request_seconds_count{protocol="explain",status="200"} 500
lifeboat_request_seconds_sum{protocol="explain",status="200"} 50
"""


def test_predictions_of_all_protocols_count_and_probes_and_reasons_do_not() -> None:
    found = read_figures(METRICS)
    assert (found.requests, found.failed) == (107, 7)
    # Of 100 answers 90 lie between 1 and 2 ms, evenly: the 50th is 50 / 90 of the way.
    assert found.p50 == pytest.approx(0.001 + 0.001 * 50 / 90)
    assert found.p99 == pytest.approx(0.002)  # beyond the last bound


def test_a_server_that_was_never_asked_has_no_latency() -> None:
    assert read_figures("") == ServerFigures(0, 0, None, None)
    with pytest.raises(ValueError):  # noqa: PT011  # the library's own
        read_figures("lifeboat_request_seconds_count{ 1 2 3\n")


def seen(**fields: object) -> DriftView:
    document = made.state(made.model(**fields))
    model = document["models"][0]
    found = drift_of(document, model["model"], model["version"], model["digest"])
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("fields", "tone", "words"),
    [
        ({"number": 0}, "idle", "collecting, 37 of 200 rows"),
        ({}, "good", "no drift"),
        ({"number": 10, "shifted": 1}, "watch", "one window with drift of Fare, Age, score, no alarm yet"),
        ({"number": 30, "shifted": 5}, "bad", "drift of Fare, Age, score"),
    ],
)
def test_drift_in_a_few_words(fields: dict[str, object], tone: str, words: str) -> None:
    found = seen(**fields)
    assert (found.tone, found.words) == (tone, words)


@pytest.mark.parametrize(
    ("live", "value", "note"),
    [
        ({"rows": 5, "accuracy": 0.8}, "4 of 5", "says little before 100 rows"),
        ({"rows": 100, "accuracy": 0.79}, "79.0%", "on 100 rows; beyond its bound of 80.0%"),
        ({"rows": 2000, "accuracy": 0.81}, "81.0%", "on 2,000 rows; keeps its bound of 80.0%"),
        ({"rows": 2000, "accuracy": 0.81, "bound": None}, "81.0%", "on 2,000 rows"),
    ],
)
def test_a_live_share_of_few_rows_is_a_count(live: dict[str, object], value: str, note: str) -> None:
    assert seen(live=made.model()["live"] | live).live == ("Accuracy", value, note)


def test_without_truth_there_is_no_live_figure_and_of_another_version_nothing_is_said() -> None:
    assert seen(number=0).live is None
    assert drift_of(made.state(made.model()), "titanic", "3", "another digest") is None


def test_labelled_rows_are_counted_by_a_process_of_their_own_and_only_when_the_store_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=str(tmp_path / "home"), detector_python=NO_DETECTOR).resolved()
    bundle = make_bundle(tmp_path / "bundle")
    write_conflicts(open_storage(settings.bundle_store, S3()), "tiny", 3)
    reader = LabelledReader(settings)
    assert reader.view("tiny", bundle.directory) == LabelledView()
    eventually(lambda: reader.view("tiny", bundle.directory).counts, 60)
    view = reader.view("tiny", bundle.directory)
    assert view.counts == {"sources": {}, "apart": [], "refused": 0, "conflicts": 3, "until": ""}
    assert time.time() - view.at < 60
    monkeypatch.setattr("lifeboat.ui.labelled_reader.COUNT_SECONDS", 0.0)
    counted = view.at
    for _ in range(5):
        assert reader.view("tiny", bundle.directory).at == counted
    write_conflicts(open_storage(settings.bundle_store, S3()), "tiny", 4)
    eventually(lambda: (reader.view("tiny", bundle.directory).counts or {})["conflicts"] == 4, 60)


def test_what_cannot_be_counted_says_why(tmp_path: Path) -> None:
    reader = LabelledReader(Settings(home=str(tmp_path / "home"), detector_python=NO_DETECTOR).resolved())
    assert "no bundle on this machine" in reader.view("tiny", None).trouble
    nowhere = tmp_path / "nowhere"
    reader.view("tiny", nowhere)
    eventually(lambda: reader.view("tiny", nowhere).trouble, 60)
    assert reader.view("tiny", nowhere).trouble.startswith(f"{nowhere} is not a bundle")
