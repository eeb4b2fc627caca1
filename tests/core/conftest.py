import pytest
from hypothesis import settings

from components.core.storage import S3, open_storage

# The same examples in every run, none kept on disk; a busy machine is no failure.
settings.register_profile("lifeboat", derandomize=True, database=None, deadline=None)
settings.load_profile("lifeboat")


@pytest.fixture(params=["directory", "moto", "seaweedfs"])
def storage(request, tmp_path):
    if request.param == "directory":
        yield open_storage(str(tmp_path / "store"), S3())
        return
    s3 = request.getfixturevalue(request.param)
    with s3.bucket() as bucket:
        yield s3.storage(bucket, "prefix")
