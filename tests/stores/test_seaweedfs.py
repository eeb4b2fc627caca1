"""SeaweedFS itself, with the words of its manifest: what it lets in, whom, and what it asks nobody for."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from minio.error import S3Error

from lifeboat.config.errors import StorageError
from lifeboat.registry.storage import S3Storage
from tests.server.world import call
from tests.stores import weed
from tests.stores.weed import Weed, identity

DOCUMENT = weed.ROOT / "docs" / "kubernetes.md"


def test_the_keys_of_the_documentation_are_taken(tmp_path: Path) -> None:
    """The page's own words, in a shell, give what SeaweedFS reads."""
    text = DOCUMENT.read_text()
    start = text.index('--from-literal=s3.json="') + len("--from-literal=s3.json=")
    words = text[start : text.index('}]}"', start) + len('}]}"')]
    made = subprocess.run(
        ["bash", "-c", f"key=k secret=s; printf %s {words}"], capture_output=True, text=True, check=True
    )
    identities = json.loads(made.stdout)["identities"]
    with weed.running(tmp_path / "weed", *identities) as server:
        server.endpoint().client.make_bucket("taken")
        assert [bucket.name for bucket in server.endpoint().client.list_buckets()] == ["taken"]


def test_the_documented_command_makes_a_bucket(server: Weed) -> None:
    asked = next(line for line in DOCUMENT.read_text().splitlines() if "s3.bucket.create" in line)
    command = asked.partition('echo "')[2].partition('"')[0]
    assert command == "s3.bucket.create --name $bucket"
    for bucket in ("lifeboat", "mlflow"):
        assert f"created bucket {bucket}" in server.shell(command.replace("$bucket", bucket))
    found = {bucket.name for bucket in server.endpoint().client.list_buckets()}
    assert {"lifeboat", "mlflow"} <= found


def test_many_buckets_take_objects(server: Weed, tmp_path: Path) -> None:
    """With volumes of 1 GB the disk of 20 GB had no place for a third one."""
    used = call(f"http://127.0.0.1:{server.ports['master'][0]}/dir/status").json["Topology"]
    (tmp_path / "file").write_text("content")
    endpoint = server.endpoint()
    with endpoint.bucket() as bucket:
        endpoint.storage(bucket).upload(tmp_path / "file", "key")
        grown = call(f"http://127.0.0.1:{server.ports['master'][0]}/dir/status").json["Topology"]
    each = used["Free"] - grown["Free"]
    limit = next(word for word in weed.container()["args"] if word.startswith("-master.volumeSizeLimitMB="))
    slots = 20 * 1024 // int(limit.partition("=")[2])
    assert 0 < each * 8 <= slots, f"a bucket takes {each} volumes, the manifest's disk has room for {slots}"


def test_a_mistyped_bucket_is_not_made(server: Weed, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    with pytest.raises(StorageError, match="NoSuchBucket"):
        server.endpoint().storage("mistyped").upload(tmp_path / "file", "key")
    assert "mistyped" not in {bucket.name for bucket in server.endpoint().client.list_buckets()}


def test_a_wrong_secret_is_refused(server: Weed, tmp_path: Path) -> None:
    endpoint = server.endpoint()
    with endpoint.bucket() as bucket:
        thief = replace(endpoint, secret_key="guessed").storage(bucket)
        for attempt in (thief.keys, lambda: thief.download("k", tmp_path / "got")):
            with pytest.raises(StorageError, match=rf"^s3://{bucket}.*: {endpoint.url} says: .*SignatureDoesNotMatch"):
                attempt()
    assert call(f"{endpoint.url}/{bucket}").status == 403  # without any


def test_a_programs_own_key_opens_what_it_was_given(tmp_path: Path) -> None:
    """As in production: the model server reads bundles, the detector writes beside, neither sees another bucket."""
    people = (
        identity("admin", "Admin"),
        identity("reader", "Read:bundles", "List:bundles"),
        identity("writer", "Read:bundles", "List:bundles", "Write:bundles"),
    )
    (tmp_path / "file").write_text("content")
    with weed.running(tmp_path / "weed", *people) as server:
        admin = server.endpoint().client
        for bucket in ("bundles", "secrets"):
            admin.make_bucket(bucket)
        reader, writer = (server.endpoint(number).storage("bundles", "deep") for number in (1, 2))
        writer.upload(tmp_path / "file", "key")
        reader.download("key", tmp_path / "got")
        assert reader.keys() == ["key"]
        # The client asks for the region of the bucket where none is set.
        assert S3Storage("bundles", "deep", replace(server.endpoint(1).s3, region="")).keys() == ["key"]
        with pytest.raises(StorageError, match="AccessDenied"):
            reader.upload(tmp_path / "file", "other")
        with pytest.raises(StorageError, match="AccessDenied"):
            server.endpoint(2).storage("secrets").keys()
        with pytest.raises(S3Error, match="AccessDenied"):
            server.endpoint(2).client.make_bucket("mine")


def test_only_s3_can_be_reached_from_outside() -> None:
    """The filer, the master and the volume server ask for no key: who reaches them reads and writes everything."""
    words = dict(word.removeprefix("-").split("=", 1) for word in weed.container()["args"] if "=" in word)
    assert words["ip.bind"] == "127.0.0.1"
    assert words["s3.ip.bind"] == "0.0.0.0"  # noqa: S104
    assert [port["containerPort"] for port in weed.container()["ports"]] == [8333]


def test_nothing_listens_that_nobody_asked_for(server: Weed) -> None:
    ours = {port for pair in server.ports.values() for port in pair}
    assert listening(server.pid) == ours


def listening(pid: int) -> set[int]:
    """The TCP ports that a process listens on."""
    opened = {str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir()}
    lines = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()
    ]
    return {
        int(line[1].rpartition(":")[2], 16) for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in opened
    }


def test_it_reports_to_nobody(server: Weed) -> None:
    said = server.log.read_text().lower()
    assert "start seaweed s3" in said  # it is the log
    assert "telemetry" not in said
    assert "statistics" not in said


def test_what_was_acknowledged_outlives_a_kill(server: Weed, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content" * 100_000)
    endpoint = server.endpoint()
    with endpoint.bucket() as bucket:
        storage = endpoint.storage(bucket)
        for number in range(20):
            storage.upload(tmp_path / "file", f"{number:02}")
        server.kill()
        server.start()
        found = storage.keys()
        assert found == [f"{number:02}" for number in range(20)]
        for key in found:
            storage.download(key, tmp_path / "got")
            assert (tmp_path / "got").read_bytes() == (tmp_path / "file").read_bytes()
