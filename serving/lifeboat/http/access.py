"""Who may ask for what, and how much: by bearer tokens, or by the name that a mesh has verified.

Every protocol asks here before a request is parsed. Without tokens and without a mesh nobody is asked for anything, and
such a server does not listen where others reach it unless it is told to.
"""

from __future__ import annotations

import hmac
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from lifeboat.config.errors import SettingsError
from lifeboat.config.sources import ANONYMOUS, read_source
from lifeboat.config.tokens import PREDICT, READ, RIGHTS, Limits, Token, hash_of, read_tokens
from lifeboat.http.authorization import given_token
from lifeboat.http.errors import RequestError, again_in
from lifeboat.system import log
from lifeboat.system.addresses import is_loopback
from lifeboat.system.files import file_state

K = TypeVar("K")
T = TypeVar("T")
# The help of the settings of every server.
TOKENS = "file of the tokens that may ask, as lifeboat token create writes it; nobody is asked for one unless set"
UNGUARDED = "whether to listen without tokens where others reach it, for something before it decides who may ask"
# What a route asks for: one of these rights.
OPEN = frozenset[str]()
ANY = frozenset(RIGHTS)
MAY_PREDICT, MAY_FEED_BACK, MAY_READ, MAY_TELL = (frozenset({right}) for right in RIGHTS)
# The documents of the interface are for whoever asks for predictions, too.
MAY_LOOK = frozenset({PREDICT, READ})
_MINUTE, _HOUR = 60.0, 3600.0
# How often the file of tokens is looked at.
_LOOK_SECONDS = 1.0
# Failures that an address may have in a minute, and how many addresses and names are kept.
_FAILURES = 30
_KEPT = 10_000
# Figures have a name of their own for so many callers; the others' are together.
_COUNTED = 200
_OTHERS = "others"
_UNLIMITED = Limits()
_BEARER = b'www-authenticate: Bearer realm="lifeboat"\r\n'
_BASIC = b'www-authenticate: Basic realm="lifeboat", charset="UTF-8"\r\n'


class Guarded(Protocol):
    """Settings of any of the servers."""

    @property
    def host(self) -> str:
        """To listen on."""

    @property
    def tokens(self) -> str:
        """Path of the file of tokens; empty for none."""

    @property
    def open(self) -> bool:
        """Whether it may be open to whoever reaches it."""


class Bucket:
    """An allowance that fills over time, as fast as it may be spent.

    Args:
        size: what may be spent in a period; 0 for no limit.
        seconds: the period.
    """

    __slots__ = ("_left", "_rate", "_size", "_when")

    def __init__(self, size: int, seconds: float) -> None:
        self._size, self._rate = float(size), size / seconds
        self._left, self._when = float(size), -math.inf

    def spend(self, amount: float, now: float) -> float:
        """Takes an amount, also one that is larger than the rest; gives 0, or the seconds to wait and takes nothing."""
        if not self._size:
            return 0.0
        self._left = min(self._size, self._left + (now - self._when) * self._rate)
        self._when = now
        if self._left < 1.0:
            return (1.0 - self._left) / self._rate
        self._left -= amount
        return 0.0


class Caller:
    """One who asks, by name: what it may do is counted over all its tokens and connections.

    Args:
        name: of it.
        limits: of what it may ask.
        count: is told what became of a request: taken, forbidden or limited.
        clock: seconds that only grow.
    """

    __slots__ = ("_buckets", "_clock", "_count", "limits", "name")

    def __init__(
        self, name: str, limits: Limits, count: Callable[[str, str], None], clock: Callable[[], float]
    ) -> None:
        self.name, self.limits = name, limits
        self._count, self._clock = count, clock
        periods = {
            "requests": (limits.requests, _MINUTE),
            "rows": (limits.rows, _MINUTE),
            "truths": (limits.truths, _HOUR),
        }
        self._buckets = {what: Bucket(*period) for what, period in periods.items()}

    def spend(self, what: str, amount: int = 1) -> None:
        """Takes requests, rows or truths from what it may ask for; raises a 429 that says when to come again."""
        wait = self._buckets[what].spend(amount, self._clock())
        if wait:
            self._count(self.name, "limited")
            limit, period = getattr(self.limits, what), "an hour" if what == "truths" else "a minute"
            info = f"{self.name} has asked for the {limit} {what} that it may {period}"
            raise RequestError(429, info, again_in(wait))


def spend_rows(caller: Caller | None, rows: int) -> None:
    """Takes rows from what a caller may ask for, where it is known; raises a 429."""
    if caller is not None:
        caller.spend("rows", rows)


def source_of(caller: Caller | None, truths: int) -> str:
    """Whose word truths are, taken from what the caller may say; raises a 429."""
    if caller is None:
        return ANONYMOUS
    caller.spend("truths", truths)
    return caller.name


class Access:
    """The door of one server.

    Args:
        path: of the file of tokens; empty for none. It is looked at each second: what is written into it counts without
            a restart, and a file that cannot be read leaves what was known before.
        subject_header: in which a mesh says whom it has verified; empty for none. It is believed of this machine alone,
            where the mesh's sidecar is.
        limits: of whoever has none of its own.
        count: is told of a caller's name what became of a request; of one without a name that it was unauthorized.
        clock, wall: seconds that only grow, and since 1970.

    Raises:
        SettingsError: the file cannot be read.
    """

    def __init__(
        self,
        path: str,
        subject_header: str,
        limits: Limits,
        count: Callable[[str, str], None],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._path, self._limits, self._clock, self._wall = Path(path) if path else None, limits, clock, wall
        self.subject_header = subject_header.lower().encode()
        self._counted: set[str] = set()
        self._tell = count
        self._tokens: dict[str, Token] = {}
        self._callers: OrderedDict[tuple[str, Limits], Caller] = OrderedDict()
        self._failures: OrderedDict[str, Bucket] = OrderedDict()
        self._trouble = ""
        self._looked, self._known = clock(), None if self._path is None else file_state(self._path)
        if self._path is not None:
            self._tokens = _by_hash(self._path)

    def admit(self, rights: frozenset[str], authorization: bytes, subject: bytes, peer: str) -> Caller | None:
        """Who asks, if it may.

        Args:
            rights: one of which it takes; none for what is open to all.
            authorization: the header of that name; empty for none.
            subject: the mesh's header; empty for none.
            peer: address of who is connected.

        Raises:
            RequestError: 401 for no token, or none that counts; 403 for one without the right; 429 for too many.
        """
        if not rights:
            return None
        if subject and self.subject_header and is_loopback(peer):
            caller = self._caller(read_source(subject), None)
        elif self._path is None:
            caller = self._caller(ANONYMOUS, None)
        else:
            token = self._find(authorization, rights, peer)
            caller = self._caller(token.name, token.limits)
            if rights.isdisjoint(token.rights):
                self._count(token.name, "forbidden")
                needed, has = " or ".join(sorted(rights)), ", ".join(token.rights)
                raise RequestError(403, f"{token.name} may {has}; this takes the right to {needed}")
        if rights != MAY_READ:  # figures are asked for by the clock
            caller.spend("requests")
        self._count(caller.name, "taken")
        return caller

    def _find(self, authorization: bytes, rights: frozenset[str], peer: str) -> Token:
        self._look()
        said = given_token(authorization)
        digest = hash_of(said)
        token = self._tokens.get(digest)
        # Found by its hash, whose digits tell nobody how near a guess was; compared whole all the same.
        if token is not None and hmac.compare_digest(token.sha256, digest):
            if self._wall() < token.end:
                return token
            raise self._refusal(rights, peer, f"the token of {token.name} ended at {token.ends}")
        raise self._refusal(
            rights, peer, "the token is not known here" if said else "this takes a token: Authorization: Bearer …"
        )

    def _refusal(self, rights: frozenset[str], peer: str, info: str) -> RequestError:
        """A 401; a 429 for an address that has had too many: whoever has a token is never kept out by others'."""
        self._count("", "unauthorized")
        failures = _kept(self._failures, peer, lambda: Bucket(_FAILURES, _MINUTE))
        if wait := failures.spend(1, self._clock()):
            return RequestError(429, "too many requests without a token that counts", again_in(wait))
        # A page is opened by a browser, which can ask its reader for a password and for nothing else.
        return RequestError(401, info, _BEARER + (_BASIC if READ in rights else b""))

    def _caller(self, name: str, limits: Limits | None) -> Caller:
        """Whoever has the name; tokens that say other limits are counted by themselves, beside one another."""
        own = limits or self._limits
        return _kept(self._callers, (name, own), lambda: Caller(name, own, self._count, self._clock))

    def _count(self, name: str, result: str) -> None:
        if name not in self._counted and len(self._counted) < _COUNTED:
            self._counted.add(name)
        self._tell(name if name in self._counted else _OTHERS, result)

    def _look(self) -> None:
        """Reads the file again where it was changed."""
        now = self._clock()
        if self._path is None or now - self._looked < _LOOK_SECONDS:
            return
        self._looked, state = now, file_state(self._path)
        if state == self._known:
            return
        try:
            self._tokens = _by_hash(self._path)
        except SettingsError as error:  # which is tried again: it may be a descriptor that was missing
            if str(error) != self._trouble:
                log.error("the tokens are those of before", reason=str(error))
            self._trouble = str(error)
        else:
            self._known, self._trouble = state, ""


def access_of(
    settings: Guarded, count: Callable[[str, str], None], limits: Limits = _UNLIMITED, subject_header: str = ""
) -> Access | None:
    """The door that a server's settings want; None where nobody is asked for anything.

    Args:
        settings: of the server.
        count, limits, subject_header: see `Access`.

    Raises:
        SettingsError: the file of tokens cannot be read, or others reach a server that nothing guards.
    """
    if not (settings.tokens or subject_header or settings.open or is_loopback(settings.host)):
        raise SettingsError(
            f"host is {settings.host}, which others reach: say who may ask by tokens, a file of lifeboat token create, "
            "or by open that something before this server decides it"
        )
    if settings.tokens or subject_header or limits != _UNLIMITED:
        return Access(settings.tokens, subject_header, limits, count)
    return None


def _by_hash(path: Path) -> dict[str, Token]:
    return {token.sha256: token for token in read_tokens(path)}


def _kept(kept: OrderedDict[K, T], key: K, make: Callable[[], T]) -> T:
    """One of those that are kept, made if it is new; the one that was wanted longest ago goes."""
    found = kept.get(key)
    if found is None:
        found = kept[key] = make()
        if len(kept) > _KEPT:
            kept.popitem(last=False)
    else:
        kept.move_to_end(key)
    return found
