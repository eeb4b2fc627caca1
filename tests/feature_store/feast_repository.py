"""Feast's repository in a folder, in Feast's environment, for the scripts beside; nothing of ours is imported here."""

from pathlib import Path

from feast import FeatureStore, RepoConfig


def open_store(folder: Path) -> FeatureStore:
    config = RepoConfig(
        project="peer", provider="local", registry=str(folder / "registry.db"), entity_key_serialization_version=3,
        offline_store={"type": "duckdb"}, online_store={"type": "sqlite", "path": str(folder / "online.db")},
    )  # fmt: skip
    return FeatureStore(config=config)
