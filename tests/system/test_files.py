import resource
import subprocess
import sys

import pytest

from lifeboat.config.errors import StorageError
from lifeboat.system.files import replacing, write_bytes, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_with_its_folders(tmp_path):
    write_text(tmp_path / "a" / "b" / "c.txt", "é\n")
    assert (tmp_path / "a" / "b" / "c.txt").read_bytes() == "é\n".encode()
    assert (tmp_path / "a" / "b" / "c.txt").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_write_leaves_the_old_content_and_nothing_else(tmp_path, error):
    path = tmp_path / "f"
    write_bytes(path, b"old")
    with pytest.raises(error), replacing(path) as temporary:  # noqa: PT012
        temporary.write_bytes(b"half of the ne")
        raise error
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["f"]


def test_a_reader_never_sees_half_a_file(tmp_path):
    path = tmp_path / "f"
    write_bytes(path, b"old")
    with replacing(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


WRITER = """
import resource, sys, tempfile
from pathlib import Path
from lifeboat.model.bundle import FILES, write_bundle
from lifeboat.config.errors import LifeboatError
from lifeboat.system.files import write_bytes
from lifeboat.registry.storage import DirectoryStorage

folder = Path(sys.argv[1])
big = tempfile.NamedTemporaryFile()
big.write(bytes(100_000))
big.flush()
attempts = {
    "file": lambda: write_bytes(folder / "f", bytes(100_000)),
    "bundle": lambda: write_bundle(folder / "bundle", dict.fromkeys(FILES, bytes(100_000)), {"usecase": "u"}),
    "storage": lambda: DirectoryStorage(folder).upload(Path(big.name), "f"),
}
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    attempts[sys.argv[2]]()
except LifeboatError as error:
    print(error)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit on file sizes here")
@pytest.mark.parametrize(
    ("what", "sentence"),
    [("file", "cannot be written"), ("bundle", "cannot take a bundle"), ("storage", "cannot be written")],
)
def test_a_disk_that_takes_no_more_is_one_sentence_and_the_old_state_stays(tmp_path, what, sentence):
    """The kernel refuses every byte beyond 50,000 of a file, as a full disk would in the middle of a write."""
    write_bytes(tmp_path / "f", b"old")
    command = [sys.executable, "-c", WRITER, str(tmp_path), what]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert sentence in done.stdout
    assert "File too large" in done.stdout
    assert done.stdout.count("\n") == 1
    assert names(tmp_path) == ["f"]
    assert (tmp_path / "f").read_bytes() == b"old"


def test_a_place_that_cannot_be_a_folder_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="cannot be written: "):
        write_text(tmp_path / "file" / "below", "y")
