"""Ports for the programs that tests start."""

from __future__ import annotations

import random
import socket

# Below those that systems give to outgoing connections: one of these would take the port of a program that is just
# being started again.
_LOWEST, _HIGHEST = 12_000, 32_000
_given: set[int] = set()
_chance = random.SystemRandom()


def free_port() -> int:
    """A port of this machine that nobody listens on, and that was not given to another test of this process."""
    while True:
        port = _chance.randint(_LOWEST, _HIGHEST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _given:
            _given.add(port)
            return port
