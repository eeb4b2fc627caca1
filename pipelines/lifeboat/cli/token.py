"""`lifeboat token`: who may ask the servers, by bearer tokens whose hashes stand in a file."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lifeboat.config.errors import SettingsError
from lifeboat.config.home_access import OWN, tokens_file
from lifeboat.config.settings import Settings
from lifeboat.config.tokens import Limits, Token, change_tokens, known_tokens, make_token
from lifeboat.data.timestamps import format_timestamp
from lifeboat.system.addresses import is_loopback
from lifeboat.system.markup import terminal_text


def create(options: argparse.Namespace, settings: Settings) -> int:
    """Makes a token and prints it, once: only its hash is kept."""
    if options.name == OWN:
        raise SettingsError(f"{OWN} is the name of a home's own token: take another")
    end = datetime.now(UTC) + timedelta(days=options.days)
    ends = end.isoformat(timespec="seconds") if options.days else ""
    limits = Limits(options.requests, options.rows, options.truths)
    rights = [right.strip() for right in options.may.split(",") if right.strip()]
    text, token = make_token(options.name, rights, ends, limits if limits != Limits() else None)
    file = _file(options, settings)
    before = change_tokens(file, lambda known: (*known, token))
    others = len(_of(before, token.name))
    print(text)
    more = f"; it has {others} other token{'s' * (others > 1)} that count{'s' * (others == 1)}" if others else ""
    _say(f"{terminal_text(token.name)} may {', '.join(token.rights)}; it ends {_end(token)}{more}.")
    _say("It is shown this once.")
    if not options.file and is_loopback(settings.host):
        _say(f"the servers of this home listen on {settings.host}, where they take no token: see LIFEBOAT_HOST")
    return 0


def list_(options: argparse.Namespace, settings: Settings) -> int:
    """Shows whose tokens there are, what they may and until when."""
    tokens = known_tokens(_file(options, settings))
    if options.json:
        said = [{key: value for key, value in asdict(one).items() if key != "sha256"} for one in tokens]
        print(json.dumps(said, ensure_ascii=False, indent=1))
        return 0
    if not tokens:
        print(f"no tokens in {_file(options, settings)}; lifeboat token create NAME --may predict makes one")
    for one in tokens:
        limits = [f"{number:,} {what}" for what, number in asdict(one.limits or Limits()).items() if number]
        limited = f", at most {', '.join(limits)}" if limits else ""
        print(f"{terminal_text(one.name)}: may {', '.join(one.rights)}{limited}; made {one.created}, ends {_end(one)}")
    return 0


def revoke(options: argparse.Namespace, settings: Settings) -> int:
    """Ends the tokens of a name, at once."""
    if options.name == OWN and not options.file:
        raise SettingsError(f"{OWN} is the home's own token, by which its servers ask each other: it stays")
    file, keep = _file(options, settings), int(options.keep_newest)
    names = sorted({one.name for one in known_tokens(file)})
    if options.name not in names:
        raise SettingsError(f"{options.name!r:.60} has no token in {file}; names: {', '.join(names) or 'none'}")

    def left(known: tuple[Token, ...]) -> list[Token]:
        own = _of(known, options.name)
        gone = own[: len(own) - keep]
        return [one for one in known if one not in gone]

    ended = len(_of(change_tokens(file, left), options.name)) - keep
    print(f"{ended} token{'s' * (ended != 1)} of {terminal_text(options.name)} ended: servers know within a second")
    return 0


def _of(tokens: tuple[Token, ...], name: str) -> list[Token]:
    return [one for one in tokens if one.name == name]


def _file(options: argparse.Namespace, settings: Settings) -> Path:
    return Path(options.file) if options.file else tokens_file(settings)


def _end(token: Token) -> str:
    if not token.ends:
        return "when it is revoked"
    moment = format_timestamp(datetime.fromtimestamp(token.end, UTC))
    return moment if token.end > time.time() else f"{moment}, which is over"


def _say(sentence: str) -> None:
    """To a person: what is printed is the token alone, for a variable of the shell."""
    print(sentence, file=sys.stderr)
