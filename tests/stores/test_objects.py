"""Objects come whole or not at all on a real S3 server, whoever is killed and whoever writes beside."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifeboat.config.errors import StorageError
from lifeboat.registry.storage import S3Storage
from tests.stores.endpoint import Endpoint
from tests.stores.relay import Relay, relaying
from tests.stores.weed import ROOT, Weed

MEGABYTE = 1 << 20
UPLOAD = """
import sys
from pathlib import Path
from lifeboat.registry.storage import S3, S3Storage
url, bucket, path, key, *keys = sys.argv[1:]
S3Storage(bucket, "", S3(url, *keys, "us-east-1")).upload(Path(path), key)
"""


@pytest.fixture
def bucket(server: Weed) -> Iterator[str]:
    with server.endpoint().bucket() as name:
        yield name


@pytest.fixture
def relay(server: Weed) -> Iterator[Relay]:
    with relaying(server.url) as made:
        yield made


def file_of(folder: Path, size: int) -> Path:
    path = folder / f"file-{size}"
    path.write_bytes(os.urandom(size))
    return path


def uploading(endpoint: Endpoint, bucket: str, path: Path) -> subprocess.Popen[bytes]:
    """A process of ours that uploads a file as `key`."""
    words = [endpoint.url, bucket, str(path), "key", endpoint.access_key, endpoint.secret_key]
    return subprocess.Popen([sys.executable, "-c", UPLOAD, *words], cwd=ROOT)


# One request, and several parts of 5 MB: the client divides what is larger.
@pytest.mark.parametrize(("size", "sent"), [(3 * MEGABYTE, MEGABYTE), (24 * MEGABYTE, 17 * MEGABYTE)])
@pytest.mark.parametrize("before", [None, b"what was there before"])
def test_who_is_killed_in_the_middle_of_an_upload_leaves_no_half_object(
    server: Weed, bucket: str, relay: Relay, tmp_path: Path, size: int, sent: int, before: bytes | None
) -> None:
    storage = server.endpoint().storage(bucket)
    if before is not None:
        (tmp_path / "before").write_bytes(before)
        storage.upload(tmp_path / "before", "key")
    path = file_of(tmp_path, size)
    relay.stall_after(sent)
    with uploading(server.endpoint().behind(relay.url), bucket, path) as child:
        assert relay.stalled.wait(60)
        child.kill()
    relay.close()
    time.sleep(1)  # the server notices
    assert storage.keys() == ([] if before is None else ["key"])
    if before is not None:
        storage.download("key", tmp_path / "got")
        assert (tmp_path / "got").read_bytes() == before
    # And whoever comes next is not in its way.
    storage.upload(path, "key")
    storage.download("key", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == path.read_bytes()


def test_a_server_that_is_killed_in_the_middle_of_an_upload_keeps_no_half_object(
    server: Weed, bucket: str, relay: Relay, tmp_path: Path
) -> None:
    path = file_of(tmp_path, 24 * MEGABYTE)
    relay.stall_after(17 * MEGABYTE)
    with uploading(server.endpoint().behind(relay.url), bucket, path) as child:
        assert relay.stalled.wait(60)
        server.kill()
        server.start()
        child.kill()
    assert server.endpoint().storage(bucket).keys() == []


def test_of_two_writers_of_a_key_each_reader_gets_one_whole(server: Weed, bucket: str, tmp_path: Path) -> None:
    files = [file_of(tmp_path, size) for size in (3 * MEGABYTE, 3 * MEGABYTE + 1)]
    contents = {path.read_bytes() for path in files}
    storages = [server.endpoint().storage(bucket) for _ in range(3)]
    storages[2].upload(files[0], "key")
    done = threading.Event()

    def write(storage: S3Storage, path: Path) -> None:
        while not done.is_set():
            storage.upload(path, "key")

    writers = [threading.Thread(target=write, args=pair) for pair in zip(storages, files, strict=False)]
    for writer in writers:
        writer.start()
    try:
        seen = set()
        for number in range(40):
            storages[2].download("key", tmp_path / f"got-{number}")
            seen.add((tmp_path / f"got-{number}").read_bytes())
            (tmp_path / f"got-{number}").unlink()
    finally:
        done.set()
        for writer in writers:
            writer.join()
    assert seen == contents  # both were seen, and nothing else
    assert storages[2].keys() == ["key"]


def test_a_download_that_breaks_off_leaves_nothing(server: Weed, bucket: str, tmp_path: Path) -> None:
    storage = server.endpoint().storage(bucket)
    storage.upload(file_of(tmp_path, 24 * MEGABYTE), "key")
    with relaying(server.url) as relay:
        relay.cut_after(17 * MEGABYTE)
        with pytest.raises(StorageError, match=rf"^s3://{bucket}/key: "):
            server.endpoint().behind(relay.url).storage(bucket).download("key", tmp_path / "folder" / "got")
    assert list((tmp_path / "folder").iterdir()) == []


def test_a_store_that_is_away_is_named_with_its_bucket(server: Weed, bucket: str, tmp_path: Path) -> None:
    path = file_of(tmp_path, 10)
    storage = server.endpoint().storage(bucket)
    server.kill()
    try:
        for attempt in (storage.keys, lambda: storage.upload(path, "key"), lambda: storage.download("key", path)):
            start = time.monotonic()
            with pytest.raises(StorageError, match=rf"^s3://{bucket}.*: {server.url} does not answer: .*refused"):
                attempt()
            assert time.monotonic() - start < 10
    finally:
        server.start()
    storage.upload(path, "key")  # the same client, once it is back
    assert storage.keys() == ["key"]
