"""The bundles behind the versions: from a directory, and from S3 with this machine's copies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lifeboat.config.errors import BundleError, StorageError
from lifeboat.config.settings import Settings
from lifeboat.model.bundle import FILES, MANIFEST, MODEL, open_bundle
from lifeboat.registry.registry import Registry
from lifeboat.registry.versions import Version
from tests.registry.world import make_bundle, register
from tests.stores.endpoint import Endpoint
from tests.stores.relay import relaying


def stored_at(settings: Settings, endpoint: Endpoint, store: str) -> Settings:
    """Settings whose bundles are at an endpoint."""
    keys = {"s3_access_key": endpoint.access_key, "s3_secret_key": endpoint.secret_key}
    return replace(settings, store=store, s3_endpoint=endpoint.url, **keys)


@pytest.fixture
def on_s3(settings: Settings, s3: Endpoint) -> Iterator[Settings]:
    """Settings whose bundles are in a bucket of this test's own."""
    with s3.bucket() as bucket:
        yield stored_at(settings, s3, f"s3://{bucket}/models")


def cache_of(settings: Settings, version: Version) -> Path:
    return settings.home_path / "cache" / version.digest


def spoil(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_directory_store_gives_the_bundle_itself(settings: Settings, tmp_path: Path) -> None:
    registry, bundle = Registry(settings), make_bundle(tmp_path / "bundle")
    found = registry.bundle(register(registry, bundle))
    assert found.digest == bundle.digest
    assert found.directory == settings.home_path / "store" / "bundles" / "tiny" / bundle.digest


def test_an_altered_bundle_of_a_directory_store_is_refused(settings: Settings, tmp_path: Path) -> None:
    registry = Registry(settings)
    version = register(registry, make_bundle(tmp_path / "bundle"))
    spoil(registry.bundle(version).directory / MODEL)
    with pytest.raises(BundleError, match=r"model\.onnx was altered"):
        registry.bundle(version)


def test_another_bundle_in_a_versions_place_is_refused(settings: Settings, tmp_path: Path) -> None:
    registry = Registry(settings)
    version = register(registry, make_bundle(tmp_path / "bundle"))
    place, other = registry.bundle(version).directory, make_bundle(tmp_path / "other", 0.1)
    for path in other.directory.iterdir():
        (place / path.name).write_bytes(path.read_bytes())
    with pytest.raises(BundleError, match=f"holds bundle {other.digest} of tiny, not {version.digest} of tiny as its"):
        registry.bundle(version)


def test_a_bundle_from_s3_is_downloaded_once(on_s3: Settings, tmp_path: Path) -> None:
    version = register(Registry(on_s3), make_bundle(tmp_path / "bundle"))
    registry = Registry(on_s3)
    found = registry.bundle(version)
    assert found.directory == cache_of(on_s3, version)
    assert found.model == open_bundle(tmp_path / "bundle").model
    registry._bundles.storage = None  # type: ignore[assignment]  # a second download would fail
    assert registry.bundle(version).digest == version.digest


def test_an_altered_copy_of_an_s3_bundle_is_never_used_but_fetched_again(on_s3: Settings, tmp_path: Path) -> None:
    registry = Registry(on_s3)
    version = register(registry, make_bundle(tmp_path / "bundle"))
    spoil(registry.bundle(version).directory / MODEL)
    assert registry.bundle(version).model == open_bundle(tmp_path / "bundle").model
    (cache_of(on_s3, version) / MODEL).unlink()
    assert registry.bundle(version).model == open_bundle(tmp_path / "bundle").model


def test_an_altered_bundle_on_s3_is_refused_and_leaves_nothing_here(on_s3: Settings, tmp_path: Path) -> None:
    registry = Registry(on_s3)
    version = register(registry, make_bundle(tmp_path / "bundle"))
    spoiled = tmp_path / "spoiled"
    spoiled.write_bytes((tmp_path / "bundle" / MODEL).read_bytes())
    spoil(spoiled)
    registry._bundles.storage.upload(spoiled, f"bundles/tiny/{version.digest}/{MODEL}")
    with pytest.raises(BundleError, match=r"model\.onnx was altered"):
        registry.bundle(version)
    assert list((on_s3.home_path / "cache").iterdir()) == []


def test_a_truncated_download_does_not_poison_the_cache(
    on_s3: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(on_s3)
    version = register(registry, make_bundle(tmp_path / "bundle"))
    download = registry._bundles.storage.download

    def truncated(key: str, path: Path) -> None:
        download(key, path)
        path.write_bytes(path.read_bytes()[:100])

    with monkeypatch.context() as patch:
        patch.setattr(registry._bundles.storage, "download", truncated)
        with pytest.raises(BundleError):
            registry.bundle(version)
    assert registry.bundle(version).digest == version.digest


def test_an_interrupted_download_does_not_poison_the_cache(
    on_s3: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(on_s3)
    version = register(registry, make_bundle(tmp_path / "bundle"))
    download = registry._bundles.storage.download

    def interrupted(key: str, path: Path) -> None:
        if key.endswith(MODEL):
            raise KeyboardInterrupt
        download(key, path)

    with monkeypatch.context() as patch:
        patch.setattr(registry._bundles.storage, "download", interrupted)
        with pytest.raises(KeyboardInterrupt):
            registry.bundle(version)
    assert registry.bundle(version).digest == version.digest


def test_a_bundle_missing_on_s3_is_one_sentence(on_s3: Settings, tmp_path: Path) -> None:
    registry = Registry(on_s3)
    register(registry, make_bundle(tmp_path / "bundle"))
    with pytest.raises(StorageError, match=r"^s3://.*model\.onnx: .* \(NoSuchKey\)$"):
        registry.bundle(Version("tiny", "9", "f" * 64, ""))


def test_a_bundle_that_is_there_is_not_written_again(on_s3: Settings, s3: Endpoint, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    with relaying(s3.url) as relay:
        settings = stored_at(on_s3, s3.behind(relay.url), on_s3.store)
        register(Registry(settings), bundle)
        written = [path.rpartition("/")[2] for path in relay.written()]
        assert written == [*FILES, MANIFEST]
        register(Registry(settings), bundle)
        assert len(relay.written()) == len(written)


def test_of_a_bundle_that_is_half_there_only_the_rest_is_written(on_s3: Settings, s3: Endpoint, tmp_path: Path) -> None:
    """As a run leaves it that was killed on the way."""
    bundle = make_bundle(tmp_path / "bundle")
    store = Registry(on_s3)._bundles.storage
    for name in FILES[:2]:
        store.upload(bundle.directory / name, f"bundles/tiny/{bundle.digest}/{name}")
    with relaying(s3.url) as relay:
        version = register(Registry(stored_at(on_s3, s3.behind(relay.url), on_s3.store)), bundle)
        assert [path.rpartition("/")[2] for path in relay.written()] == [*FILES[2:], MANIFEST]
    assert Registry(on_s3).bundle(version).digest == bundle.digest
