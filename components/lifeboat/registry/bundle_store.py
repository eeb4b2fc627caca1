"""The content-addressed store of the bundles that are served: a directory, or S3 with this machine's copies."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lifeboat.config.errors import BundleError, StorageError
from lifeboat.config.settings import Settings
from lifeboat.model.bundle import FILES, MANIFEST, Bundle, open_bundle
from lifeboat.registry.storage import DirectoryStorage, Storage, open_storage

# The manifest comes last: a bundle without one is no bundle, so nobody takes half of it.
_IN_ORDER = (*FILES, MANIFEST)
_DIGEST, _NAME = re.compile(r"[0-9a-f]{64}"), re.compile(r"[a-z][a-z0-9-]{0,39}")


class BundleStore:
    """Bundles by use case and digest. Every method raises BundleError or StorageError with one sentence."""

    def __init__(self, settings: Settings) -> None:
        self.storage = open_storage(settings.bundle_store, settings.s3)
        self._cache = settings.home_path / "cache"

    def publish(self, bundle: Bundle) -> None:
        """Writes what is not there yet of a bundle."""
        address = _address(bundle.usecase, bundle.digest)
        # The address is the content's: what is there need not be written again, which a store may not even allow.
        there = set(self.storage.keys(f"{address}/"))
        for name in _IN_ORDER:
            if f"{address}/{name}" not in there:
                self.storage.upload(bundle.directory / name, f"{address}/{name}")

    def get(self, usecase: str, digest: str) -> Bundle:
        """The verified bundle, from the store or this machine's copy of it.

        Raises:
            BundleError: what the store holds was altered; a copy that was is fetched again.
        """
        return open_stored(self.storage, usecase, digest, self._cache / digest)


def open_stored(storage: Storage, usecase: str, digest: str, copy: Path) -> Bundle:
    """The verified bundle: in place where the store is a directory, else by a copy on this machine; as `fetch`."""
    if isinstance(storage, DirectoryStorage):
        return _open_as(storage.root / _address(usecase, digest), usecase, digest)
    return fetch(storage, usecase, digest, copy)


def stored(storage: Storage, usecase: str = "") -> set[tuple[str, str]]:
    """Use case and digest of the bundles that a store holds, of one use case or of all; raises StorageError."""
    places = (key.split("/") for key in storage.keys(_address(usecase) if usecase else "bundles/"))
    return {(place[1], place[2]) for place in places if len(place) == 4 and place[3] == MANIFEST}


def fetch(
    storage: Storage,
    usecase: str,
    digest: str,
    target: Path,
    say_altered: Callable[[BundleError], None] = lambda _: None,
) -> Bundle:
    """The verified bundle in `target`, which holds it already or becomes it once every byte is checked.

    Args:
        storage: where it comes from.
        usecase, digest: of the bundle.
        target: a directory beside which one can be made.
        say_altered: told of a copy that is there, but is not the bundle.

    Raises:
        BundleError: what the store holds is altered or another bundle.
        StorageError: it cannot be read or written.
    """
    if target.exists():
        try:
            return _open_as(target, usecase, digest)
        except BundleError as error:
            say_altered(error)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as folder:
            new = Path(folder) / digest
            download(storage, usecase, digest, new)
            shutil.rmtree(target, ignore_errors=True)
            with suppress(OSError):  # another process was faster; what it put there is checked like ours
                new.replace(target)
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error.strerror or error}") from error
    return _open_as(target, usecase, digest)


def download(storage: Storage, usecase: str, digest: str, target: Path) -> Bundle:
    """Copies a bundle into a directory, such as a volume that is empty, and checks every byte; raises as `fetch`."""
    address = _address(usecase, digest)
    for name in _IN_ORDER:
        storage.download(f"{address}/{name}", target / name)
    return _open_as(target, usecase, digest)


def is_address(usecase: str, digest: str) -> bool:
    """Whether there can be a bundle of this use case and digest."""
    return bool(_NAME.fullmatch(usecase) and _DIGEST.fullmatch(digest))


def _address(usecase: str, digest: str = "") -> str:
    return f"bundles/{usecase}/{digest}"


def _open_as(directory: Path, usecase: str, digest: str) -> Bundle:
    bundle = open_bundle(directory)
    if (bundle.usecase, bundle.digest) != (usecase, digest):
        found = f"{directory} holds bundle {bundle.digest} of {bundle.usecase}"
        raise BundleError(f"{found}, not {digest} of {usecase} as its address says")
    return bundle
