"""How long a refusal takes tells nothing about how near a guess was."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lifeboat.config.tokens import PREDICT, Limits, change_tokens, make_token
from lifeboat.http.access import MAY_PREDICT, Access
from lifeboat.http.errors import RequestError

ROUNDS = 4000
# Of the chance, beyond a half, that a refusal of one kind takes longer than one of the other.
MOST = 0.05


def _advantage(refuse: Callable[[bytes], None], near: bytes, far: bytes) -> float:
    """How well time tells the two apart, 0 to 0.5: of all pairs the share in which the near one takes longer."""
    times: dict[bytes, list[int]] = {near: [], far: []}
    order = [near, far] * ROUNDS
    np.random.default_rng(7).shuffle(order)  # interleaved: the machine's moods are of both
    for token in order:
        begun = time.perf_counter_ns()
        refuse(token)
        times[token].append(time.perf_counter_ns() - begun)
    first, second = (np.sort(np.asarray(times[token], float)) for token in (near, far))
    longer = np.searchsorted(second, first, "left") + np.searchsorted(second, first, "right")
    return abs(float(longer.mean()) / (2 * len(second)) - 0.5)


@pytest.mark.slow
def test_a_near_guess_is_refused_as_fast_as_a_far_one(tmp_path: Path) -> None:
    text, token = make_token("desk", [PREDICT])
    change_tokens(tmp_path / "tokens.json", lambda _: [token])
    access = Access(str(tmp_path / "tokens.json"), "", Limits(), lambda _caller, _result: None)

    def refuse(guess: bytes) -> None:
        try:
            access.admit(MAY_PREDICT, b"Bearer " + guess, b"", "192.0.2.1")
        except RequestError:
            return
        raise AssertionError("a guess was taken")

    known = text.encode()
    near = known[:-1] + (b"A" if known[-1:] != b"A" else b"B")
    far = b"".join(b"A" if known[place : place + 1] != b"A" else b"B" for place in range(len(known)))
    assert access.admit(MAY_PREDICT, b"Bearer " + known, b"", "192.0.2.1") is not None

    def leaking(guess: bytes) -> None:
        """What must not be: it ends at the first character that differs."""
        for ours, theirs in zip(known, guess, strict=True):
            if ours != theirs:
                return

    assert _advantage(leaking, near, far) > 0.4, "the statistic sees a leak where there is one"
    found = [_advantage(refuse, near, far) for _ in range(3)]
    assert min(found) < MOST, found
