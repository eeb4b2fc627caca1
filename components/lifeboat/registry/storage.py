"""Object storage behind one interface: a directory, or any S3 endpoint.

The URL chooses: a path or `file:///…` is a directory, `s3://bucket/prefix` goes to the endpoint of the settings.
Keys are relative, with `/` between their parts.
"""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from lifeboat.config.errors import DataError, StorageError
from lifeboat.config.options import option
from lifeboat.system.files import replacing


@dataclass(frozen=True)
class S3:
    """Where an S3 endpoint is and who asks.

    Args:
        endpoint: URL such as https://s3.amazonaws.com or http://127.0.0.1:8333.
        access_key, secret_key: empty for anonymous access.
        region: of the bucket, if the endpoint asks for it.
    """

    endpoint: str = "https://s3.amazonaws.com"
    access_key: str = ""
    secret_key: str = ""
    region: str = ""

    def __repr__(self) -> str:
        return f"S3({self.endpoint})"  # no key in a log or traceback


@dataclass(frozen=True)
class S3Settings:
    """The settings by which every program of ours is told of its S3 endpoint."""

    s3_endpoint: str = option("https://s3.amazonaws.com", "URL of the S3 endpoint for s3:// addresses")
    s3_access_key: str = option("", "access key of the S3 endpoint")
    s3_secret_key: str = option("", "secret key of the S3 endpoint", secret=True)
    s3_region: str = option("", "region of the S3 endpoint, where it asks for one")

    @property
    def s3(self) -> S3:
        return S3(self.s3_endpoint, self.s3_access_key, self.s3_secret_key, self.s3_region)


class Storage(Protocol):
    """Files by key under one URL. Every method raises StorageError when the place cannot be read or written."""

    url: str

    def download(self, key: str, path: Path) -> None:
        """Copies an object to a file, whole or not at all."""

    def upload(self, path: Path, key: str) -> None:
        """Copies a file to an object, whole or not at all."""

    def keys(self, prefix: str = "") -> list[str]:
        """The keys that start with the prefix, sorted."""

    def erase(self, key: str) -> None:
        """Removes an object for good, with every older version that the store has kept of it."""


class DirectoryStorage:
    """A directory on this machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = str(root)

    def download(self, key: str, path: Path) -> None:
        _copy(self._path(key), path)

    def upload(self, path: Path, key: str) -> None:
        _copy(path, self._path(key))

    def keys(self, prefix: str = "") -> list[str]:
        folder = self._path(prefix.rpartition("/")[0])  # nothing beside it is looked at
        with _as_storage_error(f"{folder}"):
            found = (path.relative_to(self.root).as_posix() for path in folder.rglob("*") if path.is_file())
            return sorted(key for key in found if key.startswith(prefix))

    def erase(self, key: str) -> None:
        path = self._path(key)
        with _as_storage_error(str(path), verb="removed"):
            path.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        if ".." in PurePosixPath(key).parts or key.startswith("/"):
            raise StorageError(f"key {key!r} leaves {self.root}")
        return self.root / key


def _copy(source: Path, target: Path) -> None:
    with (
        _as_storage_error(str(source)),
        source.open("rb") as old,
        replacing(target) as temporary,
        temporary.open("wb") as new,
    ):
        shutil.copyfileobj(old, new)


class S3Storage:
    """A bucket, or a prefix in it, at an S3 endpoint, through the MinIO client."""

    def __init__(self, bucket: str, prefix: str, s3: S3) -> None:
        self.bucket, self.prefix = bucket, prefix.strip("/")
        self.url = f"s3://{bucket}/{self.prefix}".rstrip("/")
        self._endpoint = s3.endpoint
        self._client = _minio_client(s3)

    def download(self, key: str, path: Path) -> None:
        with (
            _as_storage_error(f"{self.url}/{key}", self._endpoint),
            closing(self._client.get_object(self.bucket, self._name(key))) as body,
            replacing(path) as temporary,
            temporary.open("wb") as file,
        ):
            # Not fget_object: it leaves a partial file of its own when it is interrupted.
            shutil.copyfileobj(body, file)

    def upload(self, path: Path, key: str) -> None:
        with _as_storage_error(str(path)), path.open("rb") as file:
            size = path.stat().st_size
            with _as_storage_error(f"{self.url}/{key}", self._endpoint):
                self._client.put_object(self.bucket, self._name(key), file, size)

    def keys(self, prefix: str = "") -> list[str]:
        with _as_storage_error(self.url, self._endpoint):
            found = self._client.list_objects(self.bucket, self._name(prefix), recursive=True)
            return sorted(item.object_name[len(self._name("")) :] for item in found)

    def erase(self, key: str) -> None:
        name = self._name(key)
        with _as_storage_error(f"{self.url}/{key}", self._endpoint, verb="removed"):
            found = self._client.list_objects(self.bucket, name, include_version=True)
            versions = [item.version_id for item in found if item.object_name == name]
            # Without versions there is one, which has none; a marker that one was deleted is one as well.
            for version in versions or [None]:
                self._client.remove_object(self.bucket, name, version_id=version)

    def _name(self, key: str) -> str:
        if ".." in PurePosixPath(key).parts or key.startswith("/"):
            raise StorageError(f"key {key!r} leaves {self.url}")
        return f"{self.prefix}/{key}" if self.prefix else key


def open_storage(url: str, s3: S3) -> Storage:
    """Gives the storage behind a URL or path.

    Raises:
        StorageError: another scheme, or no bucket in the URL.
    """
    if url.startswith("s3:"):
        # Not urlsplit: a key may hold ? and #.
        bucket, _, prefix = url.removeprefix("s3:").removeprefix("//").partition("/")
        if not bucket:
            raise StorageError(f"{url} names no bucket; write s3://bucket/prefix")
        return S3Storage(bucket, prefix, s3)
    parts = urlsplit(url)
    if parts.scheme in ("", "file"):
        return DirectoryStorage(Path(unquote(parts.path) if parts.scheme else url))
    raise StorageError(f"{url}: only a path, file:// and s3:// are known")


@contextmanager
def local_copy(url: str, s3: S3, folder: Path) -> Iterator[Path]:
    """A file's path on this machine: its own, or that of what is made of it in `folder`, removed at the end.

    Args:
        url: a path; s3://bucket/key; package://NAME/path, a file that an installed Python package brings.
        s3: endpoint and keys.
        folder: takes a download, and what a zip archive holds, if that is one file.

    Raises:
        DataError: the package is not installed, or a zip archive cannot be read.
        StorageError: it cannot be downloaded or written.
    """
    with _found(url, s3, folder) as path, _unpacked(path, folder) as plain:
        yield plain


@contextmanager
def _unpacked(path: Path, folder: Path) -> Iterator[Path]:
    """The one file of a zip archive; any other file, also an archive of several such as a workbook, as it is."""
    if not zipfile.is_zipfile(path):
        yield path
        return
    with zipfile.ZipFile(path) as archive:
        files = [info for info in archive.infolist() if not info.is_dir()]
        if len(files) != 1:
            yield path
            return
        with _temporary(folder) as directory:
            target = Path(directory) / Path(files[0].filename).name
            try:
                with (
                    _as_storage_error(str(target), verb="written"),
                    archive.open(files[0]) as packed,
                    target.open("wb") as plain,
                ):
                    shutil.copyfileobj(packed, plain)
            except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
                # A password, a way of packing that is not Python's, or a damaged file.
                raise DataError(f"{files[0].filename} cannot be unpacked: {error}", file=str(path)) from error
            yield target


def _temporary(folder: Path) -> tempfile.TemporaryDirectory[str]:
    with _as_storage_error(str(folder), verb="written"):
        folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(dir=folder, prefix=".download-")


def _in_package(url: str) -> Path:
    """The file of an installed package, which is not imported."""
    name, _, inside = url.removeprefix("package://").partition("/")
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise DataError(
            f"the package {name}, which holds the table, is not installed; install it: pip install {name}", file=url
        )
    return Path(next(iter(spec.submodule_search_locations))) / inside


@contextmanager
def _found(url: str, s3: S3, folder: Path) -> Iterator[Path]:
    if url.startswith("package://"):
        yield _in_package(url)
        return
    if not url.startswith("s3:"):
        yield Path(unquote(urlsplit(url).path)) if url.startswith("file://") else Path(url)
        return
    place, _, name = url.rpartition("/")
    if not name or place in ("s3:", "s3:/"):
        raise StorageError(f"{url} names no object; write s3://bucket/key")
    with _temporary(folder) as directory:
        target = Path(directory) / name
        open_storage(place, s3).download(name, target)
        yield target


def _minio_client(s3: S3) -> Any:
    # Imported here: a run on local files needs no S3 client, and the import is a third of a second.
    import urllib3
    from minio import Minio

    parts = urlsplit(s3.endpoint)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise StorageError(f"the S3 endpoint {s3.endpoint!r} is no http or https URL")
    # Bounded: 3 tries with back-off, and no wait without end on a dead endpoint. The last answer is kept: it says why.
    retries = urllib3.Retry(total=3, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504), raise_on_status=False)
    pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=5, read=60), retries=retries)
    return Minio(
        parts.netloc,
        access_key=s3.access_key or None,
        secret_key=s3.secret_key or None,
        secure=parts.scheme == "https",
        region=s3.region or None,
        http_client=pool,
    )


@contextmanager
def _as_storage_error(place: str, endpoint: str = "", *, verb: str = "read") -> Iterator[None]:
    """Turns what the file system and the S3 client raise into one sentence about the place."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{place} cannot be {verb}: {error.strerror or error}") from error
    except ValueError as error:  # the client's checks of names
        raise StorageError(f"{place} cannot be {verb}: {error}") from error
    except Exception as error:
        module = type(error).__module__
        if module.startswith("minio."):
            code, message = getattr(error, "code", ""), getattr(error, "message", None) or str(error)
            said = message.partition("\n")[0][:150].rstrip(".")  # a proxy's whole page, where one answers
            raise StorageError(f"{place}: {endpoint} says: {said} ({code or type(error).__name__})") from error
        if module.startswith("urllib3."):
            reason = getattr(error, "reason", None) or error
            raise StorageError(f"{place}: {endpoint} does not answer: {_innermost(reason)}") from error
        raise


def _innermost(error: object) -> str:
    """The end of urllib3's 'HTTPConnection(...): Failed to ...: [Errno 111] Connection refused'."""
    return str(error).splitlines()[0].rpartition(": ")[2].strip(" )'\"")
