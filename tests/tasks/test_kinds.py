import pytest

from lifeboat.tasks.binary.task import BinaryTask
from lifeboat.tasks.classes.task import ClassesTask
from lifeboat.tasks.kinds import task_of
from lifeboat.tasks.number.task import NumberTask
from lifeboat.usecase.label import BinaryLabel, ClassLabel, NumberLabel

TASKS = [
    (BinaryLabel("y", ("no", "yes")), BinaryTask),
    (ClassLabel("y", ("a", "b", "c")), ClassesTask),
    (ClassLabel("y", tuple(f"c{number}" for number in range(30))), ClassesTask),
    (NumberLabel("y"), NumberTask),
]


@pytest.mark.parametrize(("label", "task"), TASKS)
def test_each_label_has_its_task(label, task):
    found = task_of(label)
    assert type(found) is task
    assert found.label == label
    known = {metric.name for metric in found.metrics}
    assert {*found.headline, *found.of_slices, *found.live, found.steering} <= known
    assert set(found.answer_outputs) <= set(found.outputs)


def test_a_label_of_no_kind_is_named():
    with pytest.raises(TypeError, match="there is no task for a label of type str"):
        task_of("y")
