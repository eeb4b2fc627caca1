"""The trigger's directory: a lock while one lives, its token, and where it can be reached."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from lifeboat.config.errors import SettingsError
from lifeboat.config.settings import Settings
from lifeboat.system.files import take_lock, write_text

LOCK, TOKEN, ADDRESS = "trigger.lock", "token", "trigger.json"


@dataclass(frozen=True)
class Address:
    """Where a trigger is reached: its URL, and the file with its token."""

    url: str
    token_file: str


class RuntimeDir:
    """The directory of one living trigger.

    Args:
        settings: home.

    Raises:
        SettingsError: another trigger lives there.
    """

    def __init__(self, settings: Settings) -> None:
        self.folder = trigger_dir(settings)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / LOCK).open("a")
        if not take_lock(self._lock.fileno()):
            self._lock.close()
            raise SettingsError(f"another trigger is already running for {self.folder}")

    def token_file(self) -> Path:
        """The file of a token that only this user can read; made once."""
        path = self.folder / TOKEN
        if not path.exists():
            draft = path.with_suffix(".new")
            draft.unlink(missing_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(32))
            draft.replace(path)
        path.chmod(0o600)
        return path

    def announce(self, address: Address) -> None:
        """Writes where the trigger is reached."""
        write_text(self.folder / ADDRESS, json.dumps({"url": address.url, "token_file": address.token_file}))

    def close(self) -> None:
        """Withdraws the address; a token stays, since others were told it."""
        (self.folder / ADDRESS).unlink(missing_ok=True)
        self._lock.close()


def trigger_dir(settings: Settings) -> Path:
    """The trigger's directory under home."""
    return settings.home_path / "trigger"


def find_trigger(settings: Settings) -> Address | None:
    """Where the trigger of this home is reached; None where none runs or ran last."""
    try:
        return Address(**json.loads((trigger_dir(settings) / ADDRESS).read_text()))
    except FileNotFoundError:
        return None
