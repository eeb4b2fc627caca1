"""The content-addressed store of the bundles that are served: a directory, or S3 with this machine's copies."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from lifeboat.config.errors import BundleError
from lifeboat.config.settings import Settings
from lifeboat.model.bundle import FILES, MANIFEST, Bundle, open_bundle
from lifeboat.registry.storage import DirectoryStorage, open_storage


class BundleStore:
    """Bundles by use case and digest. Every method raises BundleError or StorageError with one sentence."""

    def __init__(self, settings: Settings) -> None:
        self.storage = open_storage(settings.bundle_store, settings.s3)
        self._cache = settings.home_path / "cache"

    def publish(self, bundle: Bundle) -> None:
        """Writes what is not there yet of a bundle."""
        prefix = _prefix(bundle.usecase, bundle.digest)
        # The address is the content's: what is there need not be written again, which a store may not even allow.
        there = set(self.storage.keys(f"{prefix}/"))
        # The manifest comes last: a bundle without one is no bundle, so nobody takes half of it.
        for name in (*FILES, MANIFEST):
            if f"{prefix}/{name}" not in there:
                self.storage.upload(bundle.directory / name, f"{prefix}/{name}")

    def get(self, usecase: str, digest: str) -> Bundle:
        """The verified bundle, from the store or this machine's copy of it.

        Raises:
            BundleError: what the store holds was altered; a copy that was is fetched again.
        """
        prefix = _prefix(usecase, digest)
        if isinstance(self.storage, DirectoryStorage):
            return _open_as(self.storage.root / prefix, digest)
        cached = self._cache / digest
        try:
            return _open_as(cached, digest)
        except BundleError:  # not here yet, or not what it was
            self._fetch(prefix, digest, cached)
        return _open_as(cached, digest)

    def _fetch(self, prefix: str, digest: str, target: Path) -> None:
        """Downloads a bundle beside the target, which it becomes once every byte is checked."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as folder:
            new = Path(folder) / digest
            for name in (*FILES, MANIFEST):
                self.storage.download(f"{prefix}/{name}", new / name)
            _open_as(new, digest)
            shutil.rmtree(target, ignore_errors=True)
            with suppress(OSError):  # another process was faster; what it put there is checked like ours
                new.replace(target)


def _prefix(usecase: str, digest: str) -> str:
    return f"bundles/{usecase}/{digest}"


def _open_as(directory: Path, digest: str) -> Bundle:
    bundle = open_bundle(directory)
    if bundle.digest != digest:
        raise BundleError(f"{directory} holds bundle {bundle.digest}, not {digest} as its address says")
    return bundle
