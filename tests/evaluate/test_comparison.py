import numpy as np
import pytest

from lifeboat.evaluate.comparison import compare
from lifeboat.evaluate.slices import Part
from lifeboat.usecase.gates import BeatsChampion, Evidence, NoSliceWorse
from tests.evaluate.world import quiet
from tests.tasks.fitted import TASK, scored

ROWS = 600


def labels_and_scores(seed=0):
    """Labels, probabilities of a fair model, and of one that knows nothing."""
    random = np.random.default_rng(seed)
    log_odds = 2 * random.normal(size=ROWS)
    fair = 1 / (1 + np.exp(-log_odds))
    y = (random.random(ROWS) < fair).astype(np.int8)
    return y, fair, random.uniform(0.3, 0.7, ROWS)


def criterion(metric, y, challenger, champion, margin=0.0):
    found = compare(TASK, y, scored(y, challenger), scored(y, champion), seed=0, say=quiet).paired
    return BeatsChampion(metric, margin).check(Evidence(metrics={}, baseline=found, champion=found))


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "accuracy", "brier"])
def test_a_better_challenger_beats_the_champion(metric):
    y, fair, blind = labels_and_scores()
    assert criterion(metric, y, fair, blind).passed


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "accuracy", "brier"])
def test_a_worse_challenger_does_not(metric):
    y, fair, blind = labels_and_scores()
    found = criterion(metric, y, blind, fair)
    assert not found.passed
    assert found.value < 0


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "accuracy", "brier"])
def test_an_equal_challenger_does_not(metric):
    y, fair, _ = labels_and_scores()
    random = np.random.default_rng(1)
    # Both see the truth through noise of the same size.
    one, other = (1 / (1 + np.exp(-(np.log(fair / (1 - fair)) + random.normal(size=ROWS)))) for _ in range(2))
    assert not criterion(metric, y, one, other).passed


@pytest.mark.slow
def test_equal_challengers_seldom_pass():
    passed = 0
    for seed in range(25):
        y, fair, _ = labels_and_scores(seed)
        random = np.random.default_rng(seed)
        one, other = (fair * 0.8 + random.uniform(0, 0.2, ROWS) for _ in range(2))
        passed += criterion("log_loss", y, one, other).passed
    assert passed <= 3


def test_a_small_loss_passes_where_the_margin_allows_it():
    y, fair, _ = labels_and_scores()
    blurred = np.clip(fair + np.random.default_rng(0).uniform(-0.1, 0.1, ROWS), 0.01, 0.99)
    assert not criterion("log_loss", y, blurred, fair).passed
    assert criterion("log_loss", y, blurred, fair, margin=-0.1).passed


def test_few_discordant_rows_decide_nothing():
    y, fair, _ = labels_and_scores()
    # Surer everywhere, but on four rows only is another class named.
    champion = 0.5 + (fair - 0.5) / 3
    wrong = np.flatnonzero(y == 1)[:4]
    challenger = fair.copy()
    challenger[wrong], champion[wrong] = 0.9, 0.4
    found = criterion("log_loss", y, challenger, champion)
    assert not found.passed
    assert found.why == (
        "not enough evidence: the models disagree on 4 of 600 rows; about 750 held-out rows are needed to decide"
    )


def test_accuracy_needs_mcnemar_too():
    y = np.tile([0, 1], 50).astype(np.int8)
    champion = np.where(y == 1, 0.8, 0.2)
    challenger = champion.copy()
    challenger[:5], champion[5:7] = 1 - challenger[:5], 1 - champion[5:7]
    found = criterion("accuracy", y, challenger, champion, margin=-0.5)
    assert not found.passed
    assert found.why == (
        "not enough evidence: McNemar p = 0.453, below 0.05 is asked; there is no gain that more rows could confirm"
    )


def test_won_and_lost_count_rows_labelled_rightly_by_one_alone():
    y = np.array([0, 0, 1, 1, 1], dtype=np.int8)
    first, second = np.array([0.1, 0.9, 0.9, 0.9, 0.1]), np.array([0.1, 0.1, 0.2, 0.3, 0.2])
    found = compare(TASK, y, scored(y, first), scored(y, second), seed=0, say=quiet).paired
    assert (found.rows, found.won, found.lost) == (5, 2, 1)


def test_only_the_slice_where_it_lost_counts_against_the_challenger():
    y = np.tile([0, 1], 100).astype(np.int8)
    right = np.where(y == 1, 0.9, 0.1)
    here = np.arange(200) < 100
    challenger, champion = right.copy(), right.copy()
    challenger[:10] = 1 - challenger[:10]
    champion[150:180] = 1 - champion[150:180]
    parts = [Part("here", "x", here), Part("there", "x", ~here)]
    paired = compare(TASK, y, scored(y, challenger), scored(y, champion), parts, seed=0, say=quiet).paired
    assert (paired.slices["here"].won, paired.slices["here"].lost) == (0, 10)
    # Holm over two slices doubles the smaller p.
    assert paired.slices["here"].p_worse == pytest.approx(2 / 1024)
    assert paired.slices["there"].p_worse == 1
    found = NoSliceWorse().check(Evidence(metrics={}, baseline=paired, champion=paired))
    assert not found.passed
    assert found.why == "here: won 0, lost 10 of 100 rows, adjusted p = 0.002"
