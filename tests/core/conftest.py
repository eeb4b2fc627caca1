import pytest
from hypothesis import settings
from minio import Minio
from moto.server import ThreadedMotoServer

from components.core.storage import S3, open_storage

# The same examples in every run, none kept on disk; a busy machine is no failure.
settings.register_profile("lifeboat", derandomize=True, database=None, deadline=None)
settings.load_profile("lifeboat")


@pytest.fixture(scope="module")
def endpoint():
    """Moto's S3 over HTTP stands in for a real endpoint."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    yield "{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture(params=["directory", "s3"])
def storage(request, tmp_path):
    if request.param == "directory":
        return open_storage(str(tmp_path / "store"), S3())
    endpoint = request.getfixturevalue("endpoint")
    bucket = f"b{abs(hash(request.node.nodeid)):x}"
    Minio(endpoint, access_key="a", secret_key="b", secure=False, region="us-east-1").make_bucket(bucket)
    return open_storage(f"s3://{bucket}/prefix", S3(f"http://{endpoint}", "a", "b", "us-east-1"))
