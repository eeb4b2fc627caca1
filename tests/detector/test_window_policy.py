"""The policy of a version's windows: what a use case declares is what the detector reads, within the same limits."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from lifeboat.config.errors import BundleError
from lifeboat.detector.windows.window_policy import WindowPolicy
from lifeboat.tasks.binary.decision import ThresholdDecision
from lifeboat.usecase.usecase import Drift


def test_what_a_use_case_declares_is_what_the_detector_reads() -> None:
    declared = Drift(window=50, minimum=20, seconds=60.0, alarms=1, of=2, online=400, accuracy=0.8, p_value=0.01)
    read = asdict(WindowPolicy.of_manifest({"drift": asdict(declared)}))
    assert {name: read[name] for name in read if name not in ("label", "decision")} == {
        name: value for name, value in asdict(declared).items() if name in read
    }


def test_a_bundle_without_any_has_the_defaults_of_a_use_case() -> None:
    read = asdict(WindowPolicy.of_manifest({}))
    assert {name: read[name] for name in read if name not in ("label", "decision")}.items() <= asdict(Drift()).items()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("minimum", 201, "minimum is 201, it must be 1 to the window of 200"),
        ("alarms", 4, "alarms is 4, it must be 1 to the last 3 windows"),
        ("seconds", 0, "seconds is 0, it must be above 0 and finite"),
        ("online", 5, "online is 5, it must be 0, or 100 to 10,000"),
        ("accuracy", 1.2, "accuracy is 1.2, it must be between 0 and 1, or None"),
        ("window", "200", "window is '200', not a number"),
        ("of", True, "of is True, not a number"),
        ("window", None, "window is None, not a number"),
    ],
)
def test_a_bundles_setting_beyond_its_limit_is_refused_with_both(name: str, value: object, words: str) -> None:
    with pytest.raises(BundleError) as caught:
        WindowPolicy.of_manifest({"drift": {name: value}})
    assert str(caught.value) == f"bundle.json: drift.{words}"


def test_what_the_database_has_from_when_there_were_two_classes_only_is_read() -> None:
    document = {**asdict(Drift(window=50, minimum=20)), "threshold": 0.3}
    for name in ("p_value", "correction", "reference", "error"):
        del document[name]
    policy = WindowPolicy.of_document(document)
    assert (policy.window, policy.answers_decision) == (50, ThresholdDecision(0.3))
    assert WindowPolicy.of_document(policy.to_dict()) == policy
