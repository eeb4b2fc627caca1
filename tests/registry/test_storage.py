import os
import socket
import threading
import time
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from minio.commonconfig import ENABLED
from minio.versioningconfig import VersioningConfig
from moto import settings
from moto.core.responses import ActionAuthenticatorMixin

from lifeboat.config.errors import DataError, StorageError
from lifeboat.registry.storage import S3, local_copy, open_storage

KEYS = {"access_key": "somebody", "secret_key": "not-so-secret", "region": "us-east-1"}


@pytest.fixture(params=["path", "file", "moto", "moto with prefix", "seaweedfs", "seaweedfs with prefix"])
def storage(request, tmp_path):
    """One kind of storage after another; every test has a place of its own."""
    kind, _, prefix = request.param.partition(" ")
    if kind in ("path", "file"):
        place = tmp_path / "a place"
        yield open_storage(str(place) if kind == "path" else place.as_uri(), S3())
        return
    s3 = request.getfixturevalue(kind)
    with s3.bucket() as bucket:
        yield open_storage(f"s3://{bucket}{'/some/prefix' if prefix else ''}", s3.s3)


def put(storage, tmp_path, key, content=b"content"):
    path = tmp_path / "upload"
    path.write_bytes(content)
    storage.upload(path, key)


@pytest.mark.parametrize("content", [b"", b"content", os.urandom(1 << 20)], ids=["empty", "short", "megabyte"])
def test_what_was_uploaded_is_downloaded(storage, tmp_path, content):
    put(storage, tmp_path, "some/key.bin", content)
    storage.download("some/key.bin", tmp_path / "got" / "file")
    assert (tmp_path / "got" / "file").read_bytes() == content
    assert [path.name for path in (tmp_path / "got").iterdir()] == ["file"]


def test_keys_are_those_with_the_prefix_in_order(storage, tmp_path):
    assert storage.keys() == []
    for key in ("b/2", "a/1", "b/10", "b2"):
        put(storage, tmp_path, key)
    assert storage.keys() == ["a/1", "b/10", "b/2", "b2"]
    assert storage.keys("b") == ["b/10", "b/2", "b2"]
    assert storage.keys("b/") == ["b/10", "b/2"]
    assert storage.keys("c") == []


def test_a_key_is_written_over(storage, tmp_path):
    put(storage, tmp_path, "k", b"old")
    put(storage, tmp_path, "k", b"new")
    storage.download("k", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b"new"
    assert storage.keys() == ["k"]


@pytest.mark.parametrize("key", ["é/ü", "with space", "a?b=c", "a#b", "a+b%20"])
def test_a_key_may_hold_any_letter(storage, tmp_path, key):
    put(storage, tmp_path, key)
    assert storage.keys() == [key]
    storage.download(key, tmp_path / "got")


def test_a_missing_key_is_named_and_the_old_file_stays(storage, tmp_path):
    old = tmp_path / "old"
    old.write_bytes(b"old")
    put(storage, tmp_path, "there")
    with pytest.raises(StorageError, match="not/there") as error:
        storage.download("not/there", old)
    assert "written" not in str(error.value)
    assert old.read_bytes() == b"old"


def test_a_missing_file_is_named(storage, tmp_path):
    with pytest.raises(StorageError, match="nothing-here cannot be read: No such file"):
        storage.upload(tmp_path / "nothing-here", "key")
    assert storage.keys() == []


def test_what_is_erased_is_gone_and_nothing_beside_it(storage, tmp_path):
    for key in ("a/c", "a/b", "a/bb"):
        put(storage, tmp_path, key)
    storage.erase("a/b")
    assert storage.keys() == ["a/bb", "a/c"]
    storage.erase("a/bb")
    storage.erase("was never there")
    assert storage.keys() == ["a/c"]


def test_where_a_store_keeps_versions_they_are_erased_as_well(s3, tmp_path):
    with s3.bucket() as bucket:
        storage = open_storage(f"s3://{bucket}/prefix", s3.s3)
        client = storage._client
        client.set_bucket_versioning(bucket, VersioningConfig(ENABLED))
        for content in (b"old", b"new"):
            put(storage, tmp_path, "k", content)
        put(storage, tmp_path, "kk", b"other")
        client.remove_object(bucket, "prefix/k")
        kept = list(client.list_objects(bucket, "prefix/k", include_version=True))
        assert [item.object_name for item in kept].count("prefix/k") == 3
        storage.erase("k")
        kept = list(client.list_objects(bucket, "prefix/k", include_version=True))
        assert [item.object_name for item in kept] == ["prefix/kk"]
        storage.erase("kk")


@pytest.mark.parametrize("key", ["../up", "a/../../up", "/root"])
def test_a_key_stays_inside(storage, tmp_path, key):
    with pytest.raises(StorageError, match="leaves"):
        put(storage, tmp_path, key)
    with pytest.raises(StorageError, match="leaves"):
        storage.download(key, tmp_path / "got")


def one_sentence(error, *parts):
    text = str(error.value)
    assert all(part in text for part in parts), text
    assert "\n" not in text
    assert len(text) < 250
    assert KEYS["secret_key"] not in text


def test_a_dead_endpoint_is_one_sentence_in_bounded_time(tmp_path):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound but not listening: refuses at once
        address = f"http://127.0.0.1:{bound.getsockname()[1]}"
        start = time.monotonic()
        with pytest.raises(StorageError) as error:
            open_storage("s3://bucket", S3(address, **KEYS)).download("k", tmp_path / "got")
    assert time.monotonic() - start < 10
    one_sentence(error, "s3://bucket/k", address, "Connection refused")
    assert not list(tmp_path.iterdir())


class Failing(BaseHTTPRequestHandler):
    """Answers every request with the server's status and body, as S3 does or as a proxy before it would."""

    def do_GET(self):
        body = b"<Error><Code>InternalError</Code><Message>No free volumes.</Message></Error>"
        if self.path.startswith("/page"):
            body = b"<html>\n" + b"Bad gateway. " * 1000
        self.send_response(500)
        self.send_header("Content-Type", "text/html" if self.path.startswith("/page") else "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing on standard error."""


@pytest.mark.parametrize(("bucket", "said"), [("bucket", "No free volumes (InternalError)"), ("page", "500")])
def test_a_server_that_keeps_failing_is_cited(bucket, said):
    with ThreadingHTTPServer(("127.0.0.1", 0), Failing) as server:
        threading.Thread(target=server.serve_forever).start()
        address = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(StorageError) as error:
            open_storage(f"s3://{bucket}", S3(address, **KEYS)).keys()
        server.shutdown()
    one_sentence(error, f"s3://{bucket}: {address} says: ", said)


def test_an_unknown_host_is_one_sentence():
    with pytest.raises(StorageError) as error:
        open_storage("s3://bucket", S3("http://no-such-host.invalid", **KEYS)).keys()
    one_sentence(error, "s3://bucket", "http://no-such-host.invalid")


def attempts(place, tmp_path):
    return (place.keys, lambda: place.download("k", tmp_path / "got"), lambda: put(place, tmp_path, "k"))


def test_a_missing_bucket_is_one_sentence(s3, tmp_path):
    for attempt in attempts(open_storage("s3://no-such-bucket", s3.s3), tmp_path):
        with pytest.raises(StorageError) as error:
            attempt()
        one_sentence(error, "s3://no-such-bucket", s3.url, "NoSuchBucket")


@contextmanager
def keys_checked():
    """Moto lets everybody in unless told to check keys from the first request on."""
    before, settings.INITIAL_NO_AUTH_ACTION_COUNT = settings.INITIAL_NO_AUTH_ACTION_COUNT, 0
    counted, ActionAuthenticatorMixin.request_count = ActionAuthenticatorMixin.request_count, 0
    try:
        yield
    finally:
        settings.INITIAL_NO_AUTH_ACTION_COUNT = before
        ActionAuthenticatorMixin.request_count = counted


def test_a_wrong_key_is_one_sentence(s3, tmp_path):
    with s3.bucket() as bucket, keys_checked():
        place = open_storage(f"s3://{bucket}", S3(s3.url, "nobody", KEYS["secret_key"], s3.region))
        for attempt in attempts(place, tmp_path):
            with pytest.raises(StorageError) as error:
                attempt()
            one_sentence(error, f"s3://{bucket}", s3.url, "InvalidAccessKeyId")


def test_a_torn_download_leaves_nothing(tmp_path):
    """A server that promises 1,000 bytes and sends 10."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nETag: "x"\r\n\r\n0123456789')

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        place = open_storage("s3://bucket", S3(f"http://127.0.0.1:{server.getsockname()[1]}", **KEYS))
        with pytest.raises(StorageError) as error:
            place.download("k", tmp_path / "got")
        thread.join(10)
    one_sentence(error, "s3://bucket/k")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("ftp://host/x", "only a path, file:// and s3:// are known"),
        ("s3://", "names no bucket"),
        ("s3:///x", "names no bucket"),
        ("s3://Bad_Bucket!", "s3://Bad_Bucket!"),
    ],
)
def test_a_url_that_names_no_place_is_refused(url, sentence):
    with pytest.raises(StorageError, match=sentence):
        open_storage(url, S3("http://127.0.0.1:1", **KEYS)).keys()


def test_an_endpoint_that_is_no_url_is_refused():
    with pytest.raises(StorageError, match="'localhost:8333' is no http or https URL"):
        open_storage("s3://bucket", S3("localhost:8333"))


def test_keys_are_in_no_representation():
    shown = f"{S3('http://host', **KEYS)!r} {S3('http://host', **KEYS)}"
    assert KEYS["access_key"] not in shown
    assert KEYS["secret_key"] not in shown


def test_a_local_file_is_used_where_it_is(tmp_path):
    path = tmp_path / "with space.csv"
    path.write_text("a\n1\n")
    for url in (str(path), path.as_uri()):
        with local_copy(url, S3(), tmp_path) as found:
            assert found == path
    assert path.exists()


def test_a_remote_file_is_copied_and_the_copy_removed(s3, tmp_path):
    folder = tmp_path / "outputs"
    folder.mkdir()
    (folder / "train.parquet").write_bytes(b"an output of the same name")
    with s3.bucket() as bucket:
        put(open_storage(f"s3://{bucket}/data", s3.s3), tmp_path, "train.parquet", b"remote")
        with local_copy(f"s3://{bucket}/data/train.parquet", s3.s3, folder) as found:
            assert found.read_bytes() == b"remote"
            assert found.suffix == ".parquet"
    assert [path.name for path in folder.iterdir()] == ["train.parquet"]
    assert (folder / "train.parquet").read_bytes() == b"an output of the same name"


def test_the_file_of_an_installed_package_is_found_without_importing_it(tmp_path, monkeypatch):
    (tmp_path / "brings_a_table" / "data").mkdir(parents=True)
    (tmp_path / "brings_a_table" / "__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "brings_a_table" / "data" / "rows.csv").write_text("a\n1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with local_copy("package://brings_a_table/data/rows.csv", S3(), tmp_path / "copies") as found:
        assert found == tmp_path / "brings_a_table" / "data" / "rows.csv"


@pytest.mark.parametrize("name", ["nobody_has_this", "not-a-name", ""])
def test_a_package_that_is_not_there_says_what_to_install(tmp_path, name):
    with (
        pytest.raises(DataError, match=f"pip install {name}"),
        local_copy(f"package://{name}/rows.csv", S3(), tmp_path),
    ):
        pass


def test_a_zip_of_one_file_is_unpacked_and_the_copy_removed(tmp_path):
    path, folder = tmp_path / "rows.csv.zip", tmp_path / "copies"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("folder")
        archive.writestr("folder/rows.csv", "a\n1\n")
    with local_copy(str(path), S3(), folder) as found:
        assert (found.name, found.read_text()) == ("rows.csv", "a\n1\n")
        assert found.is_relative_to(folder)
    assert not list(folder.iterdir())


def test_a_zip_of_several_files_is_left_as_it_is(tmp_path):
    # A workbook or a file of NumPy arrays is one as well.
    path = tmp_path / "book.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.xml", "")
        archive.writestr("b.xml", "")
    with local_copy(str(path), S3(), tmp_path / "copies") as found:
        assert found == path


def test_a_damaged_zip_is_one_sentence(tmp_path):
    path = tmp_path / "rows.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("rows.csv", "a\n" + "1\n" * 1000)
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.write_bytes(content)
    folder = tmp_path / "copies"
    with (
        pytest.raises(DataError, match=r"rows\.zip.*rows\.csv cannot be unpacked: Bad CRC"),
        local_copy(str(path), S3(), folder),
    ):
        pass
    assert not list(folder.iterdir())


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/", "s3://bucket/folder/"])
def test_a_url_without_an_object_is_refused(tmp_path, url):
    with pytest.raises(StorageError, match="names no object"), local_copy(url, S3(), tmp_path):
        pass
