"""A laptop for each story."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pipeline.laptop import Laptop


@pytest.fixture(scope="class")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    made = Laptop(tmp_path_factory.mktemp("home"))
    yield made
    made.lifeboat("stop")
