"""What a server's metadata says of its answers."""

from __future__ import annotations

import json

import pytest

from lifeboat.config.errors import DeployError
from lifeboat.deploy.probe import read_answers
from lifeboat.deploy.step import column_changes
from lifeboat.usecase.schema import BinaryLabel, Column, NumberLabel, Schema

OUTPUTS = [{"messagetype": "ndarray", "schema": {"names": ["died", "survived"], "shape": [2]}}]


def test_a_server_says_its_label_and_its_decision() -> None:
    label = BinaryLabel("fate", ("died", "survived"))
    custom = {"label": json.dumps(label.to_document()), "decision": "as asked", "threshold": "0.3"}
    task, decision = read_answers({"outputs": OUTPUTS, "custom": custom})
    assert task.label == label
    assert decision.to_manifest() == {"threshold": 0.3, "rule": "as asked"}
    number = NumberLabel("delay", unit="minutes", minimum=0)
    task, _ = read_answers({"custom": {"label": json.dumps(number.to_document()), "decision": "the value itself"}})
    assert task.label == number


def test_a_server_of_before_labels_were_of_several_kinds_is_of_two_classes() -> None:
    task, decision = read_answers({"outputs": OUTPUTS, "custom": {"decision": "as asked", "threshold": "0.3"}})
    assert task.names == ("died", "survived")
    assert decision.to_manifest()["threshold"] == 0.3


@pytest.mark.parametrize(
    "described",
    [
        {}, {"custom": None}, {"custom": {}}, {"custom": {"label": "no JSON", "decision": "x"}},
        {"custom": {"label": '{"kind": "nobody\'s", "name": "y"}', "decision": "x"}},
        {"outputs": [], "custom": {"decision": "x"}},
        {"outputs": OUTPUTS, "custom": {"decision": "x", "threshold": "y"}},
    ],
)  # fmt: skip
def test_a_server_of_others_is_one_sentence(described: object) -> None:
    with pytest.raises(DeployError, match="metadata is not that of a model of Lifeboat"):
        read_answers(described)


def test_what_a_new_version_changes_of_the_columns_is_told() -> None:
    label = BinaryLabel("y", ("no", "yes"))
    old = Schema((Column("a", "float"), Column("b", "string"), Column("c", "float")), label)
    new = Schema((Column("a", "float", maximum=5), Column("c", "float"), Column("d", "float", nullable=True)), label)
    assert column_changes(old, new) == "no more: b; new: d (may be left out); declared otherwise: a"
    assert column_changes(old, old) == ""
