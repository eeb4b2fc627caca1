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


def others_address() -> str:
    """By which another machine reaches this one; its loopback where it has no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
