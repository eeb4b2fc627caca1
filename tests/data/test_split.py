import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from lifeboat.data.split import assign_folds, group_names, hold_out, positions
from lifeboat.usecase.schema import BinaryLabel, Column, Schema


def world(groups=500, seed=0):
    """Groups of one to five rows that share a label, about a third of them positive."""
    random = np.random.default_rng(seed)
    sizes = random.integers(1, 6, groups)
    positive = random.random(groups) < 0.35
    names = [f"ticket {number}" for number, size in enumerate(sizes) for _ in range(size)]
    return names, np.repeat(positive, sizes).astype(np.int8)


def sides(names, flags):
    return {
        name: {bool(flag) for known, flag in zip(names, flags, strict=True) if known == name} for name in set(names)
    }


@given(st.lists(st.tuples(st.text(max_size=2), st.integers(0, 1)), min_size=1), st.floats(0.05, 0.95), st.text())
def test_no_group_is_on_both_sides(rows, share, salt):
    groups = [group for group, _ in rows]
    labels = np.array([label for _, label in rows], dtype=np.int8)
    found = hold_out(groups, labels, share=share, salt=salt)
    assert all(len(seen) == 1 for seen in sides(groups, found.test).values())
    assert np.all(found.test[(found.position < found.below) & ~np.isin(found.position, found.large)])
    assert not found.test[np.isin(found.position, found.large)].any()
    fold = assign_folds(groups, labels, folds=3, salt=salt)
    assert all(len({f for g, f in zip(groups, fold, strict=True) if g == group}) == 1 for group in groups)
    assert set(fold) <= {0, 1, 2}


def test_the_share_is_held_out_in_each_stratum():
    names, labels = world()
    test = hold_out(names, labels, share=0.2, salt="s").test
    for label in (0, 1):
        assert abs(test[labels == label].mean() - 0.2) < 0.02


@given(
    st.lists(st.integers(1, 30), min_size=3, max_size=30), st.sampled_from([0.1, 0.2, 0.25, 0.5]), st.text(max_size=2)
)
def test_as_near_to_the_share_as_groups_allow_whatever_their_sizes(sizes, share, salt):
    groups = [str(number) for number, size in enumerate(sizes) for _ in range(size)]
    test = hold_out(groups, np.zeros(len(groups), np.int8), share=share, salt=salt).test
    wanted, large = share * len(groups), [size for size in sizes if size > share * len(groups)]
    # Of the others each brings the sum nearer; what is large is held out where there is nothing else.
    rest = len(groups) - sum(large)
    nearest = rest if rest <= wanted else wanted
    most = max((size for size in sizes if size <= wanted), default=min(sizes))
    assert abs(test.sum() - nearest) <= max(most, min(sizes) if len(large) == len(sizes) else 0)


def test_a_giant_group_trains_and_the_others_are_held_out():
    groups = ["chain"] * 240 + [f"shop {number}" for number in range(60)]
    labels = np.tile([0, 1], 150).astype(np.int8)
    for salt in "abcdefgh":
        found = hold_out(groups, labels, share=0.25, salt=salt)
        assert found.test.mean() == 0.2
        assert not found.test[:240].any()
        assert found.large == (positions(["chain"], salt)[0],)


def test_a_large_group_takes_a_fold_and_the_others_fill_the_rest():
    groups = ["chain"] * 120 + [f"shop {number}" for number in range(180)]
    fold = assign_folds(groups, np.zeros(300, np.int8), folds=5, salt="s")
    sizes = np.bincount(fold, minlength=5)
    assert sorted(sizes.tolist()) == [45, 45, 45, 45, 120]


def test_folds_are_even_and_stratified():
    names, labels = world()
    fold = assign_folds(names, labels, folds=5, salt="s")
    for number in range(5):
        assert abs((fold == number).mean() - 0.2) < 0.02
        assert abs(labels[fold == number].mean() - labels.mean()) < 0.03


def test_the_order_of_the_rows_does_not_matter():
    names, labels = world()
    order = np.random.default_rng(1).permutation(len(names))
    test = hold_out(names, labels, share=0.2, salt="s").test
    shuffled = hold_out([names[row] for row in order], labels[order], share=0.2, salt="s").test
    assert np.array_equal(test[order], shuffled)


def test_another_salt_holds_out_others():
    names, labels = world()
    one, two = (hold_out(names, labels, share=0.2, salt=salt).test for salt in "ab")
    assert 0.05 < (one & two).mean() / one.mean() < 0.5


def test_few_groups_change_sides_when_rows_are_added():
    names, labels = world(500)
    more, more_labels = world(50, seed=1)
    before = hold_out(names, labels, share=0.2, salt="s").test
    added = [f"new {name}" for name in more]
    after = hold_out([*names, *added], np.concatenate([labels, more_labels]), share=0.2, salt="s").test
    assert (before != after[: len(names)]).mean() < 0.05


def test_a_position_depends_on_name_and_salt_alone():
    assert positions(["a", "b", "a"], "s").tolist() == [positions([name], "s")[0] for name in "aba"]
    assert positions(["a"], "s") != positions(["a"], "t")
    assert 0.4 < positions([str(number) for number in range(1000)], "s").mean() < 0.6


GROUPED = Schema(
    (Column("x", "float", nullable=True),),
    BinaryLabel("y", ("n", "y")),
    keys=(Column("id", "integer", nullable=True), Column("team", "string", nullable=True)),
    id="id",
    group="team",
)
ROWS = pa.table(
    {
        "x": pa.array([1.0, 2.0, float("nan"), 2.0, float("nan")], pa.float32()),
        "id": pa.array([1, 2, None, None, None], pa.int64()),
        "team": ["red", "", "red", "", ""],
        "y": pa.array([0, 1, 0, 1, 0], pa.int8()),
    }
)


def test_a_row_without_a_group_goes_by_its_id_and_else_by_its_cells():
    names = group_names(ROWS, GROUPED)
    assert names[0] == names[2]
    assert names[1] == "id 2"
    assert len(set(names)) == 4


def test_a_rows_group_does_not_depend_on_its_place():
    names = group_names(ROWS, GROUPED)
    for order in ([4, 3, 2, 1, 0], [3], [4, 0]):
        assert group_names(ROWS.take(pa.array(order)), GROUPED) == [names[row] for row in order]


def test_the_label_does_not_tell_rows_apart():
    schema = Schema((Column("x", "float"),), BinaryLabel("y", ("n", "y")))
    names = group_names(pa.table({"x": [1.0, 1.0, 2.0], "y": [0, 1, 0]}), schema)
    assert names[0] == names[1] != names[2]
