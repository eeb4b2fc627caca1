"""The bundles behind the versions: from a directory, and from S3 with this machine's copies.

The S3 endpoint is moto's server over HTTP, a stand-in: the real ones need a network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from components.core.bundle import MODEL, open_bundle
from components.core.errors import BundleError, RegistryError, StorageError
from components.core.registry import Registry, Version
from components.core.settings import Settings
from components.core.storage import S3Storage

from .world import make_bundle, register


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def on_s3(settings: Settings, endpoint: str, tmp_path: Path) -> Settings:
    """Settings whose bundles are in a bucket of this test's own."""
    bucket = f"b-{abs(hash(tmp_path))}"
    chosen = replace(
        settings, store=f"s3://{bucket}/models", s3_endpoint=endpoint, s3_access_key="key",
        s3_secret_key="secret",
    )  # fmt: skip
    S3Storage(bucket, "", chosen.s3)._client.make_bucket(bucket)
    return chosen


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
    with pytest.raises(RegistryError, match=f"holds bundle {other.digest}, version 1 is {version.digest}"):
        registry.bundle(version)


def test_a_bundle_from_s3_is_downloaded_once(on_s3: Settings, tmp_path: Path) -> None:
    version = register(Registry(on_s3), make_bundle(tmp_path / "bundle"))
    registry = Registry(on_s3)
    found = registry.bundle(version)
    assert found.directory == cache_of(on_s3, version)
    assert found.model == open_bundle(tmp_path / "bundle").model
    registry._store = None  # type: ignore[assignment]  # a second download would fail
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
    registry._store.upload(spoiled, f"bundles/tiny/{version.digest}/{MODEL}")
    with pytest.raises(BundleError, match=r"model\.onnx was altered"):
        registry.bundle(version)
    assert list((on_s3.home_path / "cache").iterdir()) == []


def test_a_truncated_download_does_not_poison_the_cache(
    on_s3: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(on_s3)
    version = register(registry, make_bundle(tmp_path / "bundle"))
    download = registry._store.download

    def truncated(key: str, path: Path) -> None:
        download(key, path)
        path.write_bytes(path.read_bytes()[:100])

    with monkeypatch.context() as patch:
        patch.setattr(registry._store, "download", truncated)
        with pytest.raises(BundleError):
            registry.bundle(version)
    assert registry.bundle(version).digest == version.digest


def test_an_interrupted_download_does_not_poison_the_cache(
    on_s3: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(on_s3)
    version = register(registry, make_bundle(tmp_path / "bundle"))
    download = registry._store.download

    def interrupted(key: str, path: Path) -> None:
        if key.endswith(MODEL):
            raise KeyboardInterrupt
        download(key, path)

    with monkeypatch.context() as patch:
        patch.setattr(registry._store, "download", interrupted)
        with pytest.raises(KeyboardInterrupt):
            registry.bundle(version)
    assert registry.bundle(version).digest == version.digest


def test_a_bundle_missing_on_s3_is_one_sentence(on_s3: Settings, tmp_path: Path) -> None:
    registry = Registry(on_s3)
    register(registry, make_bundle(tmp_path / "bundle"))
    with pytest.raises(StorageError, match=r"^s3://.*model\.onnx: .* \(NoSuchKey\)$"):
        registry.bundle(Version("tiny", "9", "f" * 64, ""))
