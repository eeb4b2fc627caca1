"""Writing files whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lifeboat.config.errors import StorageError

# Between two looks at a lock that somebody holds.
LOOK_SECONDS = 0.01


@contextmanager
def replacing(path: Path, mode: int = 0o644) -> Iterator[Path]:
    """Gives a temporary path beside `path`, which takes its place when the block ends well and is removed otherwise.

    Args:
        path: of the file.
        mode: its rights.

    Raises:
        StorageError: it cannot be written (a full disk, a missing right).
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(mode)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error


def is_within(file: Path, folder: Path) -> bool:
    """Whether it is a file that lies in the folder, also where a link is followed."""
    try:
        return file.is_file() and file.resolve(strict=True).is_relative_to(folder.resolve(strict=True))
    except OSError:
        return False


def write_bytes(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Writes a file atomically; raises StorageError."""
    with replacing(path, mode) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str, mode: int = 0o644) -> None:
    """Writes a UTF-8 file atomically; raises StorageError."""
    write_bytes(path, content.encode(), mode)


def write_durably(path: Path, content: str) -> None:
    """Writes a UTF-8 file atomically, and so that it outlives a power cut; raises StorageError."""
    with replacing(path) as temporary:
        temporary.write_text(content, encoding="utf-8")
        _sync(temporary)
    _sync(path.parent)


def file_digest(path: Path) -> str:
    """The sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def take_lock(descriptor: int, seconds: float = 0.0) -> bool:
    """Takes an open file's lock, until the descriptor and all its copies are closed; False if another one holds it.

    Args:
        descriptor: of the file.
        seconds: to wait for it.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(LOOK_SECONDS)
        else:
            return True


def is_locked(path: Path) -> bool:
    """Whether somebody holds a file's lock; whoever takes it at this instant must try again."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Shared: of two who look at the same time neither sees the other.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def holding_lock(path: Path, wait: Callable[[int], None] | None = None) -> Iterator[None]:
    """Holds a file's lock for the block, waiting for it first; the system lets it go with the process, however it ends.

    Args:
        path: of the file, which is made.
        wait: takes the lock of an open file in another way than waiting without end, such as `waiting_for`.

    Raises:
        StorageError: the file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error
    with file:
        if wait is None:
            fcntl.flock(file, fcntl.LOCK_EX)
        else:
            wait(file.fileno())
        yield


def waiting_for(seconds: float, say: Callable[[], None], refuse: Callable[[], Exception]) -> Callable[[int], None]:
    """A `wait` of `holding_lock`.

    Args:
        seconds: to wait.
        say: called once if the lock is not free.
        refuse: makes what is raised when time is up.
    """

    def wait(descriptor: int) -> None:
        if take_lock(descriptor):
            return
        say()
        if not take_lock(descriptor, seconds):
            raise refuse()

    return wait


def file_state(path: Path) -> tuple[int, int, int] | None:
    """What changes with a file; Kubernetes changes a link on the way to it. None where it cannot be looked at."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
