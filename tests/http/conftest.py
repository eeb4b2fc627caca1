"""The model server's own bundle and process."""

from tests.server.conftest import bundle, running

__all__ = ["bundle", "running"]
