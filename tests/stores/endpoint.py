"""S3 endpoints for tests: moto's server over HTTP, a stand-in, and SeaweedFS where it is on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count

from minio import Minio

from lifeboat.registry.storage import S3, S3Storage

_numbers = count(1)


@dataclass(frozen=True)
class Endpoint:
    """Where it is, and keys that may do everything."""

    url: str
    access_key: str
    secret_key: str = "not-so-secret"
    region: str = "us-east-1"

    @property
    def s3(self) -> S3:
        return S3(self.url, self.access_key, self.secret_key, self.region)

    @property
    def client(self) -> Minio:
        host = self.url.removeprefix("http://")
        return Minio(host, access_key=self.access_key, secret_key=self.secret_key, secure=False, region=self.region)

    def settings(self) -> dict[str, str]:
        """What our programs' settings call these, after their prefix."""
        return {"S3_ENDPOINT": self.url, "S3_ACCESS_KEY": self.access_key, "S3_SECRET_KEY": self.secret_key}

    def behind(self, url: str) -> Endpoint:
        """The same keys at another address."""
        return replace(self, url=url)

    @contextmanager
    def bucket(self) -> Iterator[str]:
        """A bucket for the block."""
        name, client = f"bucket-{next(_numbers)}", self.client
        client.make_bucket(name)
        try:
            yield name
        finally:
            for item in client.list_objects(name, recursive=True):
                client.remove_object(name, str(item.object_name))
            client.remove_bucket(name)

    def storage(self, bucket: str, prefix: str = "") -> S3Storage:
        return S3Storage(bucket, prefix, self.s3)


@contextmanager
def moto() -> Iterator[Endpoint]:
    """Lets everybody in, whatever the keys."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield Endpoint("http://{}:{}".format(*server.get_host_and_port()), "somebody")
    finally:
        server.stop()
