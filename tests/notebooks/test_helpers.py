"""What the notebooks import from `lifeboat.notebook`."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pandas as pd
import pytest

from lifeboat.config.errors import LifeboatError
from lifeboat.evaluate.plots import CLASS_COLORS, MUTED
from lifeboat.notebook.jupyter import Page, wait_for_windows
from lifeboat.notebook.plots import SMALLEST, draw_gains, draw_reasons, draw_shift, draw_windows
from lifeboat.usecase.gates import Interval


@contextmanager
def detector(answer: Callable[[], object]) -> Iterator[str]:
    """A server that gives the document on any path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answer()).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def said(*models: tuple[float, list[tuple[float, str]]]) -> dict[str, object]:
    """What a detector says at 100 seconds: when it last heard of each version, how each window began and ended."""
    return {
        "time": 100.0,
        "models": [
            {"last": last, "windows": [{"opened": opened, "state": state} for opened, state in windows]}
            for last, windows in models
        ],
    }


def test_it_waits_for_windows_that_began_from_now_on_of_the_version_heard_of_last() -> None:
    other = (1.0, [(101.0, "judged")] * 9)
    before = [(97.0, "judged"), (99.0, "closed")]
    answers = iter([before, [(99.0, "judged"), (101.0, "judged")], [(101.0, "judged"), (103.0, "judged")]])
    with detector(lambda: said(other, (2.0, next(answers)))) as url:
        found = wait_for_windows(url, more=2, patience=10)
    assert [window["opened"] for window in found["windows"]] == [101.0, 103.0]


def test_it_does_not_wait_for_ever() -> None:
    with (
        detector(lambda: said((1.0, [(99.0, "judged"), (101.0, "failed")]))) as url,
        pytest.raises(LifeboatError, match="judged 0 new windows in 0 s, asked: 1"),
    ):
        wait_for_windows(url, more=1, patience=0.3)


def test_a_detector_that_heard_of_nothing_is_named() -> None:
    with detector(said) as url, pytest.raises(LifeboatError, match=f"{url} has heard of no model"):
        wait_for_windows(url, more=0)


def test_a_page_stays_in_its_frame(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text('<style>p{}</style>"quoted"')
    shown = Page(tmp_path / "page.html")._repr_html_()
    assert shown.count('"') == shown.count("&quot;") + 8 - 2
    assert "<style>" not in shown


def test_a_gain_is_coloured_by_what_its_interval_says() -> None:
    gains = {"up": Interval(2, 1, 3), "down": Interval(-2, -3, -1), "unsure": Interval(1, -1, 3)}
    [panel] = draw_gains(gains, "a title").axes
    assert [line.get_color() for line in panel.lines[1::2]] == [*CLASS_COLORS, MUTED]
    assert [text.get_text() for text in panel.get_yticklabels()] == list(gains)
    assert panel.get_title(loc="left") == "a title"


def test_windows_name_the_features_that_drifted_most() -> None:
    rows = [{"a": 0.5, "b": 0.4, "c": 0.3, "d": 0.2}, {"a": 0.0, "b": 0.4, "c": 0.3, "d": 1e-5}]
    windows = [{"number": number, "state": "judged", "p_values": values, "threshold": 0.01}
               for number, values in enumerate(rows, start=1)]  # fmt: skip
    failed = {"number": 3, "state": "failed", "p_values": {}, "threshold": None}
    [panel] = draw_windows({"windows": [*windows, failed]}).axes
    assert [text.get_text() for text in panel.texts] == ["a", "d", "c"]
    assert min(panel.lines[0].get_ydata()) == SMALLEST
    assert list(panel.get_xticks()) == [1, 2]


def test_reasons_stand_by_their_strength_in_a_panel_each() -> None:
    frame = pd.DataFrame(
        {
            "row": [0, 0, 1, 1], "column": ["a", "b", "a", "b"], "contribution": [0.1, -0.3, 0.2, 0.05],
            "error": [0.0, 0.0, 0.01, 0.0], "answer": [0.3, 0.3, 0.75, 0.75], "base": 0.5,
        }
    )  # fmt: skip
    one, other = draw_reasons(frame, ["one", "other"]).axes
    assert one.get_title(loc="left") == "one: 0.3, beside 0.5 on average"
    assert [text.get_text() for text in one.get_yticklabels()] == ["a", "b"]  # the strongest on top
    assert [text.get_text() for text in other.get_yticklabels()] == ["b", "a"]
    assert [bar.get_width() for bar in one.patches] == [0.1, -0.3]


def test_a_shift_shows_the_worst_features_first() -> None:
    histogram = {"bins": ["low", "high"], "reference": [0.9, 0.1], "window": [0.2, 0.8]}
    features = [{"name": name, "p_value": p, "histogram": histogram} for name, p in (("x", 0.2), ("y", 0.0))]
    panels = draw_shift({"features": features}).axes
    assert [panel.get_title(loc="left") for panel in panels] == ["y: p < 1e-12", "x: p = 0.2"]
    assert [bar.get_height() for bar in panels[0].patches] == [0.9, 0.1, 0.2, 0.8]
