"""Shapley values against the definition itself, added up over every order, and against games whose values are known."""

from __future__ import annotations

from itertools import permutations
from math import factorial

import numpy as np
import pytest

from lifeboat.model.explaining.shapley import Game, count_out, draw

BACKGROUND = 7


def make_game(players: int, width: int, seed: int) -> Game:
    """Worths at random for each coalition and background row, all of which may work upon each other."""
    worth = np.random.default_rng(seed).normal(0, 1, (1 << players, BACKGROUND, width))
    # With everybody present the background is not seen.
    worth[-1] = worth[-1, 0]
    powers = 1 << np.arange(players)
    return lambda present, background: worth[present @ powers, background]


def by_definition(players: int, game: Game) -> np.ndarray:
    """The mean over all orders of what a player adds to those before it."""
    everyone = np.arange(BACKGROUND)

    def worth(present: np.ndarray) -> np.ndarray:
        return game(np.repeat(present[None], BACKGROUND, axis=0), everyone).mean(axis=0)

    total = 0.0
    for order in permutations(range(players)):
        added, present = [None] * players, np.zeros(players, bool)
        for player in order:
            before = worth(present)
            present[player] = True
            added[player] = worth(present) - before
        total = total + np.array(added)
    return total / factorial(players)


@pytest.mark.parametrize("players", [1, 2, 5])
def test_what_is_counted_out_is_the_definition(players: int) -> None:
    game = make_game(players, 3, players)
    found = count_out(players, BACKGROUND, game)
    assert found.contributions == pytest.approx(by_definition(players, game), abs=1e-12)
    assert found.asked == 2**players * BACKGROUND
    assert not found.error.any()


def test_what_is_drawn_is_near_it_by_the_stated_error_and_sums_exactly() -> None:
    players, game = 6, make_game(6, 1, 0)
    exact = count_out(players, BACKGROUND, game)
    scores = []
    for seed in range(60):
        found = draw(players, BACKGROUND, game, 5_000, seed)
        assert found.base + found.contributions.sum(axis=0) == pytest.approx(
            exact.base + exact.contributions.sum(axis=0), abs=1e-12
        )
        assert found.asked <= 5_000
        scores.append((found.contributions - exact.contributions) / found.error)
    # Unbiased, and as far off as it says: standard scores of many draws.
    assert np.mean(scores) == pytest.approx(0, abs=0.2)
    assert np.std(scores) == pytest.approx(1, abs=0.15)


def test_a_sum_of_parts_has_no_error_at_all() -> None:
    """Where players do not work upon each other every order says the same of a background row."""
    own = np.array([1.0, -2.0, 0.0, 5.0])
    behind = np.random.default_rng(0).normal(0, 1, (BACKGROUND, 4))

    def game(present: np.ndarray, background: np.ndarray) -> np.ndarray:
        return np.where(present, own, behind[background]).sum(axis=1, keepdims=True)

    found = draw(4, BACKGROUND, game, 100, 0)
    assert found.contributions[:, 0] == pytest.approx(own - behind.mean(axis=0))
    assert found.error == pytest.approx(0, abs=1e-7)
    assert found.asked == 2 * 2 * 4 * BACKGROUND, "two orders a background row are the least that tell an error"


def test_reversed_orders_beat_as_many_that_are_drawn_alone() -> None:
    """What pairs are for, on a game of pairs: what two add together is divided the same in an order and its reverse."""
    behind = np.zeros((BACKGROUND, 4))

    def game(present: np.ndarray, background: np.ndarray) -> np.ndarray:
        return (present[:, [0]] & present[:, [1]]) + behind[background][:, [0]]

    found = draw(4, BACKGROUND, game, 100, 3)
    assert found.contributions[:, 0] == pytest.approx([0.5, 0.5, 0, 0])
    assert found.error == pytest.approx(0, abs=1e-12)
