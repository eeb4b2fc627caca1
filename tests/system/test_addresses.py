"""Addresses of this machine."""

from __future__ import annotations

import pytest

from lifeboat.system.addresses import is_loopback


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.3.2.1", True), ("::1", True), ("localhost", True), ("192.168.0.7", False),
     ("::", False), ("0.0.0.0", False), ("server.example", False), ("", False)],  # noqa: S104
)  # fmt: skip
def test_what_a_loopback_address_is(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
