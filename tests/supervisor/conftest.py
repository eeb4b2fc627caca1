"""The model server's own bundle and process."""

from tests.server.conftest import bundle, receiver

__all__ = ["bundle", "receiver"]
