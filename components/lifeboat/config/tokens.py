"""Who may ask a server: bearer tokens, each with a name, rights and an end, in a file that holds their hashes alone.

A token has 256 random bits, so its SHA-256 tells nothing that could be guessed, and no slow hash is needed.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lifeboat.config.errors import SettingsError
from lifeboat.config.sources import is_source
from lifeboat.system.files import holding_lock, write_text

# To ask for predictions and their reasons; to say what was true; to see pages, figures and the data of drift; to bring
# events to the detector.
PREDICT, FEEDBACK, READ, EVENTS = RIGHTS = ("predict", "feedback", "read", "events")
# By which a token that lies where it should not is found.
_BEGINNING = "lifeboat_"


@dataclass(frozen=True)
class Limits:
    """What one name may do, 0 for no limit.

    Args:
        requests, rows: to predict, in a minute.
        truths: labels of feedback, in an hour.
    """

    requests: int = 0
    rows: int = 0
    truths: int = 0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if type(value) is not int or value < 0:
                raise SettingsError(f"{name} is {value!r}, it must be a whole number, 0 for no limit")


@dataclass(frozen=True)
class Token:
    """What a file says of a token.

    Args:
        name: of who has it; two tokens of one name are one caller.
        rights: of `RIGHTS`.
        sha256: of the token, in hexadecimal digits.
        created, ends: as ISO 8601 with a zone; it ends never if that is empty.
        limits: None for the server's.
    """

    name: str
    rights: tuple[str, ...]
    sha256: str
    created: str
    ends: str = ""
    limits: Limits | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not is_source(self.name):
            raise SettingsError(f"a token's name is {self.name!r:.60}: it takes 1 to 255 characters that can be seen")
        if not self.rights or not set(self.rights) <= set(RIGHTS):
            raise SettingsError(
                f"{self.name} may {', '.join(map(str, self.rights))}, but rights are {', '.join(RIGHTS)}"
            )
        if len(self.sha256) != 64 or set(self.sha256) - set("0123456789abcdef"):
            raise SettingsError(f"the token of {self.name} has no SHA-256 of 64 hexadecimal digits")
        for moment in filter(None, (self.created, self.ends)):
            _moment(moment)

    @property
    def end(self) -> float:
        """When it ends, in seconds since 1970."""
        return _moment(self.ends).timestamp() if self.ends else float("inf")


def make_token(name: str, rights: Sequence[str], ends: str = "", limits: Limits | None = None) -> tuple[str, Token]:
    """A new token and what a file says of it.

    Raises:
        SettingsError: the name, a right or the end is none.
    """
    text = _BEGINNING + secrets.token_urlsafe(32)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return text, Token(name, tuple(sorted(set(rights), key=_order)), hash_of(text.encode()), now, ends, limits)


def hash_of(token: bytes) -> str:
    """By which a token is known."""
    return hashlib.sha256(token).hexdigest()


def read_tokens(path: Path) -> tuple[Token, ...]:
    """What a file says.

    Raises:
        SettingsError: it cannot be read, or does not hold tokens.
    """
    try:
        document = json.loads(path.read_bytes())
        return tuple(map(_read, document["tokens"]))
    except OSError as error:
        raise SettingsError(f"the tokens of {path} cannot be read: {error.strerror}") from error
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SettingsError(f"{path} is no file of tokens: {error!r:.200}") from None


def known_tokens(path: Path) -> tuple[Token, ...]:
    """The same of a file that may not be there yet; raises as `read_tokens`."""
    return read_tokens(path) if path.exists() else ()


def change_tokens(path: Path, change: Callable[[tuple[Token, ...]], Iterable[Token]]) -> tuple[Token, ...]:
    """Writes what a change makes of a file's tokens, whole or not at all, for the file's owner alone.

    Args:
        path: of the file, there or not.
        change: gives the tokens to be, in order; nobody else changes the file meanwhile.

    Returns:
        The tokens of before.

    Raises:
        SettingsError: the file does not hold tokens.
        StorageError: it cannot be written.
    """
    with holding_lock(path.with_name(f".{path.name}.lock")):
        known = known_tokens(path)
        said = [{key: value for key, value in asdict(one).items() if value} for one in change(known)]
        write_text(path, json.dumps({"tokens": said}, indent=1) + "\n", mode=0o600)
    return known


def _read(said: Any) -> Token:
    unknown = set(said) - {spec.name for spec in fields(Token)}
    if unknown:
        raise SettingsError(f"a token has {sorted(unknown)[0]!r:.60}, which is none of its members")
    limits = Limits(**said["limits"]) if said.get("limits") else None
    return Token(**{**said, "rights": tuple(said["rights"]), "limits": limits})


def _order(right: str) -> int:
    return RIGHTS.index(right) if right in RIGHTS else len(RIGHTS)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"{text!r:.60} is no moment, such as 2027-01-31T00:00:00+00:00") from None
    if moment.tzinfo is None:
        raise SettingsError(f"{text} has no zone, such as +00:00")
    return moment
