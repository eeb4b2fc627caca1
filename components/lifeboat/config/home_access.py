"""Who may ask the servers of a home: nobody is asked for a token where only this machine reaches them; elsewhere the
home's file of tokens says who may, and the home has a token of its own, by which its servers and verbs ask each other.
"""

from __future__ import annotations

from pathlib import Path

from lifeboat.config.errors import SettingsError
from lifeboat.config.settings import Settings
from lifeboat.config.token_file import read_token
from lifeboat.config.tokens import EVENTS, PREDICT, READ, change_tokens, hash_of, known_tokens, make_token
from lifeboat.system.addresses import is_loopback
from lifeboat.system.files import holding_lock, write_text

# The home's own token: its name, and what its servers and verbs need; nobody teaches by it.
OWN, OWN_RIGHTS = "lifeboat", (PREDICT, READ, EVENTS)


def tokens_file(settings: Settings) -> Path:
    """The home's file of tokens, there or not."""
    return settings.home_path / "access" / "tokens.json"


def service_access(settings: Settings, host: str) -> dict[str, str]:
    """The settings of whom a service answers that listens on an address, by their names.

    Raises:
        SettingsError: the file of tokens is none.
        StorageError: the home's own token cannot be written.
    """
    if is_loopback(host):
        return {}
    if settings.open:
        return {"open": "true"}
    _ensure_own(settings)
    return {"tokens": str(tokens_file(settings))}


def server_access(settings: Settings) -> dict[str, str]:
    """The same of a model server, which asks other services of the home; raises as `service_access`."""
    found = service_access(settings, settings.host)
    return {**found, "token_file": str(_own_file(settings))} if "tokens" in found else found


def home_token(settings: Settings) -> str:
    """By which a verb of this home asks its servers; empty where they never took one.

    Whatever this verb's own settings say of the host: the servers were started with theirs.

    Raises:
        SettingsError: it cannot be read.
    """
    return read_token(_own_file(settings)) if _own_file(settings).exists() else ""


def _own_file(settings: Settings) -> Path:
    return tokens_file(settings).with_name("token")


def _ensure_own(settings: Settings) -> None:
    """Makes the home's own token unless it is there and known."""
    known, file = tokens_file(settings), _own_file(settings)
    with holding_lock(file.with_name(".token.lock")):
        if _is_known(file, known):
            return
        text, token = make_token(OWN, OWN_RIGHTS)
        write_text(file, text + "\n", mode=0o600)
        change_tokens(known, lambda tokens: (*(one for one in tokens if one.name != OWN), token))


def _is_known(file: Path, known: Path) -> bool:
    try:
        digest = hash_of(read_token(file).encode())
    except SettingsError:  # it is not there, or was cut off
        return False
    return any(one.sha256 == digest for one in known_tokens(known))
