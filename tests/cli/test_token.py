"""`lifeboat token`: tokens made, shown and ended, and what is wrong said in one sentence."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lifeboat.config.tokens import PREDICT, READ, hash_of, read_tokens
from tests.cli.conftest import Lifeboat


def test_a_token_is_printed_alone_and_its_hash_is_kept(lifeboat: Lifeboat, home: Path) -> None:
    said = lifeboat("token", "create", "desk", "--may", "read, predict", "--days", "90", "--rows", "500")
    assert said.code == 0
    assert re.fullmatch(r"lifeboat_[\w-]{43}\n", said.output)
    assert "desk may predict, read; it ends 20" in said.errors
    assert "It is shown this once." in said.errors
    assert "listen on 127.0.0.1, where they take no token" in said.errors
    [token] = read_tokens(home / "access" / "tokens.json")
    assert (token.name, token.rights, token.sha256) == ("desk", (PREDICT, READ), hash_of(said.output.strip().encode()))
    assert token.limits is not None
    assert (token.limits.requests, token.limits.rows, token.limits.truths) == (0, 500, 0)
    assert (home / "access" / "tokens.json").stat().st_mode & 0o077 == 0


def test_tokens_are_listed_and_replaced_and_ended(lifeboat: Lifeboat, tmp_path: Path) -> None:
    file = str(tmp_path / "secret" / "tokens.json")
    assert "no tokens in" in lifeboat("token", "list", "--file", file).output
    first = lifeboat("token", "create", "desk", "--may", "predict", "--file", file)
    assert "listen on" not in first.errors
    second = lifeboat("token", "create", "desk", "--may", "predict,feedback", "--days", "1", "--file", file)
    assert "it has 1 other token that counts" in second.errors
    lifeboat("token", "create", "clinic", "--may", "feedback", "--truths", "2000", "--file", file)
    listed = lifeboat("token", "list", "--file", file).output.splitlines()
    assert listed[0].startswith("desk: may predict; made 20")
    assert listed[0].endswith("ends when it is revoked")
    assert "which is over" not in listed[1]
    assert "clinic: may feedback, at most 2,000 truths;" in listed[2]
    Path(file).write_text(Path(file).read_text().replace(read_tokens(Path(file))[1].ends, "2026-01-31T00:00:00+00:00"))
    assert "ends 2026-01-31T00:00:00Z, which is over" in lifeboat("token", "list", "--file", file).output
    as_json = json.loads(lifeboat("token", "list", "--json", "--file", file).output)
    assert [one["name"] for one in as_json] == ["desk", "desk", "clinic"]
    assert "sha256" not in as_json[0]
    assert lifeboat("token", "revoke", "desk", "--keep-newest", "--file", file).output.startswith(
        "1 token of desk ended"
    )
    assert read_tokens(Path(file))[0].sha256 == hash_of(second.output.strip().encode())
    assert lifeboat("token", "revoke", "desk", "--file", file).output.startswith("1 token of desk ended")
    assert [one.name for one in read_tokens(Path(file))] == ["clinic"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("create", "desk", "--may", "fly"), "desk may fly, but rights are predict, feedback, read, events"),
        (("create", "desk", "--may", ","), "desk may , but rights are"),
        (("create", "", "--may", "read"), "a token's name is '': it takes 1 to 255 characters that can be seen"),
        (("create", "none", "--may", "read"), "a token's name is 'none'"),
        (("create", "lifeboat", "--may", "read"), "lifeboat is the name of a home's own token"),
        (("revoke", "lifeboat"), "lifeboat is the home's own token, by which its servers ask each other: it stays"),
        (("revoke", "nobody"), "'nobody' has no token in"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    lifeboat: Lifeboat, home: Path, arguments: tuple[str, ...], words: str
) -> None:
    assert words in lifeboat("token", *arguments).sentence
    assert not (home / "access" / "tokens.json").exists()


def test_a_broken_file_is_not_written_over(lifeboat: Lifeboat, tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    file.write_text("{")
    assert "is no file of tokens" in lifeboat("token", "create", "desk", "--may", "read", "--file", str(file)).sentence
    assert file.read_text() == "{"
