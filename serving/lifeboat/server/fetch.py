"""`python -m lifeboat.server.fetch`: a bundle from the store to a directory, for the model server that starts next.

Its settings are variables only, since it runs in a pod: `LIFEBOAT_FETCH_` and a name below in capitals.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lifeboat.config.errors import BundleError, LifeboatError, SettingsError
from lifeboat.config.options import from_environment, option, parse_texts
from lifeboat.model.bundle import FILES, MANIFEST, open_bundle
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
    storage, target = open_storage(settings.store, settings.s3), Path(settings.target)
    for name in (*FILES, MANIFEST):
        storage.download(f"bundles/{settings.usecase}/{settings.digest}/{name}", target / name)
    found = open_bundle(str(target))
    if (found.usecase, found.digest) != (settings.usecase, settings.digest):
        raise BundleError(f"{settings.store} holds {found.usecase} {found.digest} under the name of another bundle")


def main() -> int:
    """0 once the bundle is there, 1 with a sentence if it cannot be."""
    log.set_up()
    try:
        settings = read_settings(os.environ)
        fetch(settings)
    except LifeboatError as error:
        log.error(str(error))
        return 1
    log.info("the bundle is here", usecase=settings.usecase, digest=settings.digest)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
