"""One run for all pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.detector.page_server import Detector
from tests.pages.site import Site, write_pages
from tests.pipeline.laptop import Laptop


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("pages")
    laptop = Laptop(folder / "home", ui=True)
    said = laptop.lifeboat("run", "--usecase", "titanic")
    write_pages(laptop, folder / "files")
    try:
        with Detector() as detector:
            yield Site(laptop, said, detector, folder / "files")
    finally:
        laptop.lifeboat("stop")
