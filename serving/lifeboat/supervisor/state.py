"""What a supervisor leaves in its directory: a lock while it lives, and where it can be reached."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

from lifeboat.config.errors import DeployError, SettingsError
from lifeboat.system.files import is_locked, take_lock, write_durably

STATE_FILE = "supervisor.json"
LOCK_FILE = "supervisor.lock"
# Whoever asks whether a supervisor lives holds its lock for an instant.
LOCK_SECONDS = 0.5


class SupervisorState:
    """The state directory of one living supervisor.

    Args:
        directory: is made if missing.

    Raises:
        SettingsError: another supervisor lives there.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._file = directory / STATE_FILE
        self._lock = (directory / LOCK_FILE).open("w")
        if not take_lock(self._lock.fileno(), LOCK_SECONDS):
            self._lock.close()
            raise SettingsError(f"another supervisor is already running for {directory}")
        self.crashed = self._file.exists()
        self._remove_remains()
        # In a short directory of its own: the path of a socket has at most about a hundred characters.
        self.socket = Path(tempfile.mkdtemp(prefix="lifeboat-")) / "control"

    def write(self) -> None:
        """Records where the supervisor can be reached, who tells the rest; whole or not at all."""
        write_durably(self._file, json.dumps({"pid": os.getpid(), "socket": str(self.socket)}))

    def close(self) -> None:
        """Leaves nothing behind; once, as another supervisor may live there by then."""
        if self._lock.closed:
            return
        self._file.unlink(missing_ok=True)
        shutil.rmtree(self.socket.parent, ignore_errors=True)
        self._lock.close()

    def _remove_remains(self) -> None:
        """Removes the socket of a supervisor that was killed."""
        try:
            path = Path(json.loads(self._file.read_bytes())["socket"])
        except (OSError, ValueError, KeyError, TypeError):
            return
        path.unlink(missing_ok=True)
        if path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()


def find_socket(directory: Path) -> Path | None:
    """Where the supervisor of a state directory can be reached; None where none was left there, or lives.

    Raises:
        DeployError: one lives there, and its file does not tell.
    """
    path = directory / STATE_FILE
    try:
        return Path(json.loads(path.read_bytes())["socket"])
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DeployError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        if not is_locked(directory / LOCK_FILE):
            return None  # of a supervisor that was killed
        remedy = "lifeboat stop ends that, and lifeboat serve starts it anew"
        raise DeployError(f"{path} is damaged and does not say where its supervisor is; {remedy}") from error
