import pytest

from lifeboat.tasks.binary.task import BinaryTask
from lifeboat.tasks.kinds import METRICS, task_of
from lifeboat.usecase.label import BinaryLabel, StoredLabel


@pytest.mark.parametrize("kind", [BinaryLabel, StoredLabel])
def test_two_classes_are_the_binary_task(kind):
    assert isinstance(task_of(kind("y", ("no", "yes"))), BinaryTask)


def test_a_label_of_no_kind_is_named():
    with pytest.raises(TypeError, match="there is no task for a label of type str"):
        task_of("y")


def test_what_a_card_shows_are_metrics_of_the_task():
    assert (
        {*BinaryTask.headline, *BinaryTask.of_slices} <= {metric.name for metric in BinaryTask.metrics} == set(METRICS)
    )
