"""The structure of a JSON document: how deep it is, and whether a name stands twice in one of its objects.

RFC 8259 leaves open what a name that stands twice means, and parsers differ: a proxy before us may have read the other
value. A parser keeps one of them, so that a name is lost: then the text has more colons outside its strings than the
document has names.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import orjson

from lifeboat.http.errors import bad

_CONTAINERS = frozenset((dict, list))
# From the left, each string is found from its first quote to its last.
_TOKENS = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*")[ \t\r\n]*(:?)|([{}])', re.DOTALL)
QUOTE = ord('"')
# Bytes that are looked at in one call, which takes less than a millisecond.
PIECE = 128 * 1024
_KINDS = {b":": "names", b",": "values", b"[": "lists", b"{": "objects"}


def refuse_crowd(text: bytes, max_values: float) -> None:
    """Raises a 400 for JSON that holds more names, values, lists or objects than any request needs.

    It is counted before it is parsed: to make a million lists takes 0.2 s, and nothing can cut it.

    Args:
        text: valid JSON, or to be found invalid later.
        max_values: of each kind.
    """
    if len(text) <= max_values:
        return
    for mark, kind in _KINDS.items():
        if found := count_above(text, mark, max_values):
            raise bad(f"the JSON holds {found} {kind}, the limit is {max_values}")


def check_structure(where: str, document: Any, text: bytes, max_depth: int) -> None:
    """Raises a 400 where a document is nested deeper than the limit, or a name stands twice in one object.

    Args:
        where: the document stands, for messages.
        document: as parsed.
        text: as sent; valid JSON.
        max_depth: of objects and lists.
    """
    colons = count(text, b":")
    if count(text, b"[") + count(text, b"{") <= max_depth and colons == _few_names(document):
        return
    names = count_names(document, max_depth)
    # The colons within strings are told apart only where there are any.
    if names != colons and names != count_outside(text, b":"):
        # Which one it is takes a look at each token, and nothing can cut that: up to 0.2 s for the largest body.
        name = f"the name {_repeated(text)}" if len(text) <= PIECE else "a name"
        raise bad(f"{where} has {name} twice in one object")


def count_names(document: Any, max_depth: int) -> int:
    """The names in all objects; raises a 400 where it is too deep. Level by level, since a recursion could
    overflow."""
    level, depth, names = [document], 0, 0
    while level:
        depth += 1
        if depth > max_depth:
            raise bad(f"the JSON is nested more than {max_depth} deep")
        names += sum([len(parent) for parent in level if type(parent) is dict])
        # Most of a large request are rows of plain values, which are passed over without a loop.
        inner = [parent.values() if type(parent) is dict else parent for parent in level]
        nested = [values for values in inner if not _CONTAINERS.isdisjoint(map(type, values))]
        level = [child for values in nested for child in values if type(child) in _CONTAINERS]
    return names


def count(text: bytes, mark: bytes) -> int:
    """How often a character stands in a text."""
    if len(text) <= PIECE:
        return text.count(mark)
    return sum([text.count(mark, start, start + PIECE) for start in range(0, len(text), PIECE)])


def count_above(text: bytes, mark: bytes, limit: float) -> int:
    """How often a character stands outside the strings of valid JSON, where that is above a limit; else 0."""
    # The exact count takes longer, and is asked for only where the text may be over the limit.
    found = count_outside(text, mark) if count(text, mark) > limit else 0
    return found if found > limit else 0


def count_outside(text: bytes, mark: bytes) -> int:
    """How often a character stands outside the strings of valid JSON."""
    found = start = inside = 0
    while start < len(text):
        end = start + PIECE
        while text[end - 1 : end] == b"\\":  # what follows belongs to it
            end += 1
        piece = text[start:end]
        if b"\\" in piece:
            piece = piece.replace(b"\\\\", b"__").replace(b'\\"', b"__")
        characters = np.frombuffer(piece, np.uint8)
        # One more for each quote; it wraps at 256, which is even.
        quotes = np.cumsum(characters == QUOTE, dtype=np.uint8) + np.uint8(inside)
        found += int(np.count_nonzero((characters == ord(mark)) & (quotes & 1 == 0)))
        start, inside = end, int(quotes[-1]) & 1
    return found


def _few_names(document: Any) -> int:
    """The names of the outermost objects, which are all that most requests of one row have."""
    if type(document) is not dict:
        return 0
    names = len(document)
    for value in document.values():
        if type(value) is dict:
            names += len(value)
        elif type(value) is list and value and type(value[0]) is dict:
            names += sum([len(item) for item in value if type(item) is dict])
    return names


def _repeated(text: bytes) -> str:
    """The first name, as it was sent, that stands twice in one object; at most 60 bytes of it."""
    objects: list[set[str]] = []
    for token in _TOKENS.finditer(text):
        string, colon, brace = token.groups()
        if brace == b"{":
            objects.append(set())
        elif brace:
            objects.pop()
        elif colon:
            name = orjson.loads(string)
            if name in objects[-1]:
                return string[:60].decode(errors="replace")
            objects[-1].add(name)
    raise AssertionError("a document has fewer names than its text, and none stands twice")
