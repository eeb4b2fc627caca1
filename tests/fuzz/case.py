"""What is generated: a case, which is sent in one piece of a connection, and its requests, each with what is due."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

MODEL, DETECTOR, TRIGGER = "model", "detector", "trigger"
KINDS = ("seldon", "v2", "feedback", "events", "framing")


@dataclass(slots=True)
class Part:
    """One request of a case, as far as its answer can be judged by it.

    Args:
        kind: of the answer's form: one of KINDS, or "plain" for anything else.
        want: the status that is due; None where any 200 or 4xx may be right.
        text, binary: the JSON as sent, and the binary data behind it.
        puid: the header's value.
        rows: what a prediction asks for, where it is known; else it is read from the text.
        head: whether it is a HEAD.
        same: parts with the same number, unless it is -1, have the same answer but for ids.
        label: a word for the table of forms.
    """

    kind: str
    want: int | None = None
    text: bytes = b""
    binary: bytes = b""
    puid: bytes | None = None
    rows: list[dict[str, Any]] | None = None
    head: bool = False
    same: int = -1
    label: str = ""


@dataclass(slots=True)
class Case:
    """Bytes for one server.

    Args:
        kind: one of KINDS.
        form: a finer name, for the table.
        server: MODEL, DETECTOR or TRIGGER.
        content: as sent.
        parts: its requests; None where it is not known what a server reads in the bytes.
        statuses: of all answers, interim ones included, where nothing else is known of them.
        heads: how many of the answers are to HEAD, where only the statuses are known.
        alone: on a connection of its own, until the server closes it.
        cuts: places where the content is cut into segments.
        end: whether the client ends its side after the content.
        rows: of the detector's windows that come of it.
    """

    kind: str
    form: str
    server: str
    content: bytes
    parts: list[Part] | None = None
    statuses: Sequence[int] | None = None
    heads: int = 0
    alone: bool = False
    cuts: Sequence[int] = ()
    end: bool = False
    rows: int = 0


@dataclass(frozen=True)
class Facts:
    """What of the processes stands in requests.

    Args:
        digest: of the bundle.
        token: of the trigger.
        ports: of each server.
    """

    digest: str
    token: str
    ports: dict[str, int] = field(default_factory=dict)
