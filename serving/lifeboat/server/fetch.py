"""`python -m lifeboat.server.fetch`: a bundle from the store to a directory, for the model server that starts next.

Its settings are variables only, since it runs in a pod: `LIFEBOAT_FETCH_` and a name below in capitals.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lifeboat.config.errors import SettingsError
from lifeboat.config.options import from_environment, option, parse_texts
from lifeboat.registry.bundle_store import download
from lifeboat.registry.storage import S3Settings, open_storage
from lifeboat.system import log

PREFIX = "LIFEBOAT_FETCH_"


@dataclass(frozen=True)
class FetchSettings(S3Settings):
    """See each field's help."""

    store: str = option("", "directory or s3://bucket/prefix of the bundles")
    usecase: str = option("", "use case of the bundle")
    digest: str = option("", "digest of the bundle")
    target: str = option("", "directory to bring it to")

    def __post_init__(self) -> None:
        for name in ("store", "usecase", "digest", "target"):
            if not getattr(self, name):
                raise SettingsError(f"no {name}: give {PREFIX}{name.upper()}")


def read_settings(environment: Mapping[str, str]) -> FetchSettings:
    """Makes the settings; raises SettingsError."""
    return FetchSettings(**parse_texts(FetchSettings, PREFIX, from_environment(FetchSettings, PREFIX, environment)))


def fetch(settings: FetchSettings) -> None:
    """Downloads the bundle and checks that it is the one asked for; raises StorageError, BundleError."""
    storage = open_storage(settings.store, settings.s3)
    # Into the directory itself, which in a pod is a volume: no other one can take its place.
    download(storage, settings.usecase, settings.digest, Path(settings.target))


def main() -> int:
    """0 once the bundle is there, 1 with a sentence if it cannot be."""
    return log.run_program("bundle-fetch", _work)


def _work() -> None:
    settings = read_settings(os.environ)
    fetch(settings)
    log.info("the bundle is here", usecase=settings.usecase, digest=settings.digest)


if __name__ == "__main__":
    raise SystemExit(main())
