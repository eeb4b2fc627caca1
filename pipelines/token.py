"""Bearer tokens from files and settings; no message ever shows one."""

from __future__ import annotations

from pathlib import Path

from components.core.errors import SettingsError


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


def checked_token(token: str, source: str) -> str:
    """The token itself, if it can stand in a header.

    Raises:
        SettingsError: it cannot; names the source and not the token.
    """
    if not token.isascii() or any(character.isspace() or not character.isprintable() for character in token):
        raise SettingsError(f"{source} holds no token: a space, a line break or a character that is not ASCII is in it")
    return token
