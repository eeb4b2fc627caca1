"""What the settings of every program share: a frozen dataclass of texts, numbers and switches, each with a help text.

A flag wins over the environment. The variable of a setting is the program's prefix and the setting's name in capitals;
another variable with that prefix is an error, since it is a mistyped one, and an empty one counts as unset.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field, fields
from typing import Any, TypeVar

from lifeboat.config.errors import SettingsError

K = TypeVar("K")
_SWITCH = {"true": True, "1": True, "false": False, "0": False}
_METAVAR = {bool: "true|false", int: "N", float: "X", str: "TEXT"}


def option(default: Any, text: str, *, secret: bool = False, **more: Any) -> Any:
    """A field of a program's settings: bool, int, float or str as its default is.

    Args:
        default: what it is unless given.
        text: its help.
        secret: it is, or may hold, a password: it stands in no repr.
        more: further metadata.
    """
    return field(default=default, repr=not secret, metadata={"help": text, **more})


def variable(prefix: str, name: str) -> str:
    """The environment variable of a setting."""
    return prefix + name.upper()


def from_environment(
    kind: type, prefix: str, environment: Mapping[str, str], others: tuple[str, ...] = ()
) -> dict[str, str]:
    """Name and text of the settings that the environment gives.

    Args:
        kind: the dataclass.
        prefix: of its variables.
        environment: variables and their texts.
        others: longer prefixes, of other programs' variables.

    Raises:
        SettingsError: a variable with the prefix is no setting.
    """
    known = {variable(prefix, spec.name): spec.name for spec in fields(kind)}
    given = {name: text for name, text in environment.items() if name.startswith(prefix)}
    for name in sorted(given):
        if name not in known and not name.startswith(others):
            raise SettingsError(f"{name} is no setting; the settings are {', '.join(sorted(known))}")
    return {known[name]: text for name, text in given.items() if name in known and text}


def parse_texts(kind: type, prefix: str, texts: Mapping[str, str]) -> dict[str, Any]:
    """Each text as the type of its setting's default.

    Raises:
        SettingsError: a name is no setting, or a text is not of its type.
    """
    defaults = {spec.name: spec.default for spec in fields(kind)}
    for name in sorted(texts):
        if name not in defaults:
            raise SettingsError(f"{name} is no setting; the settings are {', '.join(sorted(defaults))}")
    return {name: _parse(variable(prefix, name), text, type(defaults[name])) for name, text in texts.items()}


def _parse(name: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() not in _SWITCH:
            raise SettingsError(f"{name} is {text!r}, not true or false")
        return _SWITCH[text.lower()]
    try:
        return kind(text)
    except ValueError:
        raise SettingsError(f"{name} is {text!r}, not a {'whole ' if kind is int else ''}number") from None


def add_flags(parser: argparse.ArgumentParser, kind: type, prefix: str, group: str = "") -> None:
    """Adds a flag for each setting; `given_flags` finds them in what was parsed.

    Args:
        parser: of the program or the verb.
        kind: the dataclass.
        prefix: of its variables.
        group: stands before each name in what is parsed, where other flags of the parser share names with the settings.
    """
    # A program's own settings stand before those it shares with others.
    for spec in sorted(fields(kind), key=lambda spec: spec.name not in kind.__annotations__):
        default = "none" if spec.default == "" else spec.default
        text = f"{spec.metadata['help']} (default: {default}; or {variable(prefix, spec.name)})".replace("%", "%%")
        metavar = _METAVAR[type(spec.default)]
        parser.add_argument(f"--{spec.name.replace('_', '-')}", dest=group + spec.name, metavar=metavar, help=text)


def given_flags(kind: type, flags: Mapping[str, Any], group: str = "") -> dict[str, str]:
    """Name and text of the settings that flags gave."""
    found = {spec.name: flags.get(group + spec.name) for spec in fields(kind)}
    return {name: text for name, text in found.items() if text is not None}


def read_program(
    kind: type[K],
    prefix: str,
    parser: argparse.ArgumentParser,
    arguments: Sequence[str],
    environment: Mapping[str, str],
) -> K:
    """The settings of a program of its own.

    Args:
        kind: the dataclass.
        prefix: of its variables.
        parser: without a flag so far.
        arguments, environment: of the program.

    Raises:
        SettingsError: a variable is unknown or a value is not of its type.
        SystemExit: a flag is unknown (2) or help was asked for (0).
    """
    add_flags(parser, kind, prefix)
    flags = given_flags(kind, vars(parser.parse_args(arguments)))
    return kind(**parse_texts(kind, prefix, from_environment(kind, prefix, environment) | flags))


def check_numbers(settings: Any, may_be_zero: Collection[str]) -> None:
    """Refuses numbers that are not above 0 and finite, and a port that is none.

    Args:
        settings: a dataclass with a port.
        may_be_zero: names of those that may be 0, or are checked elsewhere.

    Raises:
        SettingsError: names the setting.
    """
    for spec in fields(settings):
        value = getattr(settings, spec.name)
        if spec.name in may_be_zero or isinstance(value, bool | str):
            continue
        if not 0 < value < float("inf"):
            raise SettingsError(f"{spec.name} is {value}, it must be above 0")
    if not 0 <= settings.port <= 65535:
        raise SettingsError(f"port is {settings.port}, a port is 0 to 65535")
