"""Bearer tokens from files and settings; no message ever shows one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lifeboat.config.errors import SettingsError
from lifeboat.system import log


def read_token(path: Path) -> str:
    """The token that a file holds, without the white space around it.

    Raises:
        SettingsError: the file cannot be read, is empty or holds something else.
    """
    source = f"token file {path}"
    try:
        token = path.read_bytes().decode(errors="replace").strip()
    except OSError as error:
        raise SettingsError(f"{source} cannot be read: {error.strerror}") from error
    if not token:
        raise SettingsError(f"{source} is empty")
    return checked_token(token, source)


class TokenFile:
    """A token that may change while it is in use, as a Secret does that Kubernetes mounts.

    Raises:
        SettingsError: as `read_token`, at first.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._token = path, read_token(path)

    def token(self) -> str:
        """What the file holds now; what it held before where that is no token, and a line of the log says so."""
        try:
            self._token = read_token(self._path)
        except SettingsError as error:
            log.error(f"{error}: the one before still counts")
        return self._token


def checked_token(token: str, source: str) -> str:
    """The token itself, if it can stand in a header.

    Raises:
        SettingsError: it cannot; names the source and not the token.
    """
    if not token.isascii() or any(character.isspace() or not character.isprintable() for character in token):
        raise SettingsError(f"{source} holds no token: a space, a line break or a character that is not ASCII is in it")
    return token


def token_headers(path: str) -> Callable[[], dict[str, str]]:
    """Gives, each time, the header of the token that a file holds at the moment; none without a file.

    Raises:
        SettingsError: as `read_token`, at first.
    """
    if not path:
        return dict
    file = TokenFile(Path(path))
    return lambda: {"authorization": f"Bearer {file.token()}"}
