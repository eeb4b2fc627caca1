"""What is kept in place of a personal key: a keyed hash of it, by which rows of one person are still known as such."""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from lifeboat.config.errors import SettingsError
from lifeboat.system.files import holding_lock, write_text

# Bytes of a key at least, and of a pseudonym: two names of a billion have the same one with a chance of 1e-20.
LEAST, _LENGTH = 32, 16
LONGEST = 23
_PSEUDONYM = re.compile(r"~[A-Za-z0-9_-]{22}")


@dataclass(frozen=True)
class Pseudonyms:
    """Gives names their pseudonyms; without a key nobody has one, and nothing is kept in place of a name.

    Args:
        key: of the hash, `LEAST` bytes at least; whoever has it can find out whose a pseudonym is by trying names.
    """

    key: bytes = field(default=b"", repr=False)

    def __bool__(self) -> bool:
        return bool(self.key)

    def of(self, column: str, name: str) -> str:
        """The pseudonym of a value of a column, always the same, whatever the value looks like; of "" it is "" ."""
        if not name or not self.key:
            return ""
        digest = hmac.digest(self.key, f"{column}\0{name}".encode(errors="surrogatepass"), "sha256")
        return "~" + base64.urlsafe_b64encode(digest[:_LENGTH]).decode().rstrip("=")

    @property
    def fingerprint(self) -> str:
        """Tells one key from another, and nothing of it; empty without one."""
        return self.of("__fingerprint", "key")

    def names(self, column: str, known: Iterable[str]) -> dict[str, str]:
        """The names that are known, by their pseudonyms."""
        return {self.of(column, name): name for name in known} if self.key else {}


NO_PSEUDONYMS = Pseudonyms()


def is_pseudonym(text: str) -> bool:
    """Whether a text has the form of one."""
    return _PSEUDONYM.fullmatch(text) is not None


def read_pseudonyms(path: str, key: str = "") -> Pseudonyms:
    """Those by a key; without one those of nobody.

    Args:
        path: of the file with it; none where it is empty.
        key: itself, as a Secret of a cluster gives it.

    Raises:
        SettingsError: it cannot be read, or is too short.
    """
    source, found = "personal_key", key.encode()
    if path and not key:
        source = f"personal key file {path}"
        try:
            found = Path(path).read_bytes().strip()
        except OSError as error:
            raise SettingsError(f"{source} cannot be read: {error.strerror}") from error
    if len(found) < LEAST and (path or key):
        raise SettingsError(f"{source} has {len(found)} bytes, a key has at least {LEAST}")
    return Pseudonyms(found)


def ensure_key(path: Path) -> None:
    """Makes a key unless there is one: whoever loses it can tell no person's rows from another's any more.

    Raises:
        StorageError: it cannot be written.
    """
    with holding_lock(path.with_name(f".{path.name}.lock")):
        if not path.exists():
            write_text(path, secrets.token_urlsafe(LEAST) + "\n", mode=0o600)
