"""Errors cross the border between processes as JSON, and are then what they were."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from lifeboat.config import errors
from lifeboat.config.errors import DataError, DeployError, LeaseError, LifeboatError, PipelineError


def kinds(kind: type[LifeboatError]) -> Iterator[type[LifeboatError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from kinds(below)


def crossed(error: LifeboatError) -> LifeboatError:
    return LifeboatError.from_document(json.loads(json.dumps(error.to_document())))


@pytest.mark.parametrize("kind", sorted(kinds(LifeboatError), key=lambda kind: kind.__name__))
def test_every_kind_of_error_comes_out_as_it_went_in(kind: type[LifeboatError]) -> None:
    error = kind("port 80 is taken")
    back = crossed(error)
    assert (type(back), str(back), vars(back)) == (kind, str(error), vars(error))


@pytest.mark.parametrize(
    "error",
    [
        DataError("label holds 7", file="a.csv", row=3, column="label"),
        LeaseError("a holds tiny", holder="a"),
        PipelineError("killed", step="train", log="/runs/1/run.log"),
    ],
)
def test_facts_and_the_sentence_made_of_them_come_along(error: LifeboatError) -> None:
    back = crossed(error)
    assert (type(back), str(back), vars(back)) == (type(error), str(error), vars(error))


def test_an_error_whose_class_this_process_has_not_loaded_keeps_its_words() -> None:
    document = {**DeployError("the lease is gone").to_document(), "error": "NeverLoadedError"}
    back = LifeboatError.from_document(document)
    assert (type(back), str(back)) == (LifeboatError, "the lease is gone")


def test_every_error_is_drawn_in_the_tree_of_the_module() -> None:
    own = [kind.__name__ for kind in kinds(LifeboatError) if kind.__module__ == errors.__name__]
    assert [name for name in own if name not in str(errors.__doc__)] == []
