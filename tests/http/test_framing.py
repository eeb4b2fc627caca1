"""The table of `framing.py` against the model server, the drift detector and the retrain trigger, each a process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.detector.world import BATCH, add_bundle, detector, truth
from tests.http.framing import LAST, ROWS, Peer, Row
from tests.server.world import ROOT, ROW_VALUES, ndarray, server
from tests.trigger.world import World, alert, webhook

SERVERS = ("model server", "detector", "trigger")


@pytest.fixture(scope="module", params=SERVERS)
def peer(request: pytest.FixtureRequest, bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    folder = tmp_path_factory.mktemp("framing")
    json_type = b"content-type: application/json\r\n"
    if request.param == "model server":
        with server(bundle) as model:
            yield Peer(model.port, b"/live", b"/predict", json_type, json.dumps(ndarray(ROW_VALUES)).encode())
    elif request.param == "detector":
        add_bundle(folder)
        with detector(folder, folder / "drift.db") as watching:
            batch = json.dumps([truth("x", 1)]).encode()
            yield Peer(watching.port, b"/live", b"/events", b"content-type: %b\r\n" % BATCH.encode(), batch)
    else:
        with World(folder).trigger() as trigger:
            token = b"authorization: Bearer %b\r\n" % trigger.token.encode()
            ignored = webhook(alert(action=""))
            port = int(trigger.url.rpartition(":")[2])
            yield Peer(port, b"/live", b"/alerts", json_type + token, ignored)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_is_answered_as_the_table_says_whole_and_in_pieces(peer: Peer, row: Row) -> None:
    content = peer.fill(row.content + LAST)
    for size in (1 << 20, 1 if len(content) < 5000 else 997):
        answers = peer.talk(content, size, row.heads)
        assert [one.status for one in answers] == list(row.statuses), answers
        final = [one for one in answers if one.status != 100]
        assert final[-1].headers["connection"] == "close"
        assert all(parsedate_to_datetime(one.headers["date"]) for one in final)
        if 405 in row.statuses:
            assert "GET, HEAD" in final[0].headers["allow"]


def test_every_row_has_a_name_of_its_own() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_the_page_names_rows_and_tests_that_are_there() -> None:
    functions = "\n".join(path.read_text() for path in ROOT.glob("tests/**/test_*.py"))
    text = (ROOT / "serving" / "HTTP.md").read_text()
    table = text[text.index("## Each MUST") : text.index("What does not apply")]
    cells = [line.split(" | ")[-1].removesuffix(" |") for line in table.splitlines() if line.startswith("| 9")]
    named = [name for cell in cells if cell != "-" for name in cell.split(", ")]
    assert len(named) > 80
    for name in named:
        if name.startswith("test_"):
            assert f"def {name}(" in functions, name
        else:
            assert any(fnmatchcase(row.name, name) for row in ROWS), name
    assert {row.name for row in ROWS if not any(fnmatchcase(row.name, name) for name in named)} == set()
