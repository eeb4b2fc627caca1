"""Shapley values of one row: what each player adds, on average over all orders in which they may come.

A game is asked of coalitions: players that are present have the row's values, the others those of a background row.
Its worth is the mean over the background (interventional; Lundberg and Lee, 2017; Janzing and others, 2020). Few
players are counted out; of more, orders are drawn, each with its reverse (antithetic; Mitchell and others, 2022).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Which players are present in each question, [m, players], and with which background row, [m]: answers, [m, width].
Game = Callable[[NDArray[np.bool_], NDArray[np.int64]], Floats]
# So many players are counted out: 1,024 coalitions with each background row.
EXACT = 10


@dataclass(frozen=True)
class Values:
    """What the players add.

    Args:
        base: mean answer of the background, [width].
        contributions: [players, width]; with the base they sum to the row's answer.
        error: standard error of each contribution, [players, width]; 0 where all coalitions were counted.
        asked: how many questions that took, of which a game may know some to be the same.
    """

    base: Floats
    contributions: Floats
    error: Floats
    asked: int


def count_out(players: int, background: int, game: Game) -> Values:
    """The exact values, from every coalition with every background row.

    Args:
        players: how many; at most some dozen.
        background: how many rows.
        game: is asked 2^players times their number.
    """
    coalitions = 1 << players
    present = (np.arange(coalitions)[:, None] >> np.arange(players) & 1).astype(bool)
    answers = game(np.repeat(present, background, axis=0), np.tile(np.arange(background), coalitions))
    worth = answers.reshape(coalitions, background, -1).mean(axis=1)
    size = present.sum(axis=1)
    weights = np.array(
        [math.factorial(k) * math.factorial(players - k - 1) / math.factorial(players) for k in range(players)]
    )
    values = np.empty((players, worth.shape[1]))
    for player in range(players):
        without = np.flatnonzero(~present[:, player])
        added = worth[without | 1 << player] - worth[without]
        values[player] = weights[size[without]] @ added
    return Values(worth[0], values, np.zeros_like(values), len(answers))


def draw(players: int, background: int, game: Game, budget: int, seed: int) -> Values:
    """Unbiased values, from drawn orders with one background row each.

    Each background row has as many orders, so that the contributions sum to the answer as exactly as counted ones do.

    Args:
        players: how many, two at least.
        background: how many rows.
        game: is asked.
        budget: of questions; exceeded where that is too few for an order a background row.
        seed: of the orders.
    """
    rounds = max(2, budget // (2 * players * background))
    pairs = rounds * background
    random = np.random.default_rng(seed)
    orders = random.permuted(np.tile(np.arange(players), (pairs, 1)), axis=1)
    rows = np.tile(np.arange(background), rounds)
    # place[k, j]: when player j comes in order k. Present after step t are those that came before it.
    place = np.argsort(orders, axis=1)
    steps = np.arange(players + 1)
    forward = place[:, None, :] < steps[:, None]
    backward = (players - 1 - place)[:, None, :] < steps[1:-1, None]
    present = np.concatenate([forward, backward], axis=1)
    answers = game(present.reshape(-1, players), np.repeat(rows, 2 * players)).reshape(pairs, 2 * players, -1)
    there = answers[:, : players + 1]
    # The first and the last coalition of both ways are the same.
    back = np.concatenate([there[:, :1], answers[:, players + 1 :], there[:, -1:]], axis=1)
    each = np.arange(pairs)[:, None]
    width = answers.shape[-1]
    added = np.empty((pairs, players, width))
    added[each, orders] = np.diff(there, axis=1)
    reverse = np.empty_like(added)
    reverse[each, orders[:, ::-1]] = np.diff(back, axis=1)
    sample = (added + reverse) / 2
    return Values(
        there[:, 0].mean(axis=0), sample.mean(axis=0), _error(sample.reshape(rounds, background, players, width)),
        answers.shape[0] * answers.shape[1],
    )  # fmt: skip


def _error(sample: Floats) -> Floats:
    """The standard error of the mean, [players, width]: each background row is a stratum with as many draws."""
    rounds, background = sample.shape[:2]
    within = sample.var(axis=0, ddof=1).mean(axis=0)
    return np.asarray(np.sqrt(within / (rounds * background)))
