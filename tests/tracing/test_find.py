"""One prediction is found from its puid by the commands of docs/observability.md, in a home that lifeboat has made."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from lifeboat.services.detector import ensure_detector
from tests.detector.world import people, request_of
from tests.server.world import ROOT, call
from tests.services.kept import Kept, eventually
from tests.tracing.collector import collecting

PAGE = ROOT / "docs" / "observability.md"


def script() -> list[str]:
    """The commands of the page's last block, each with the lines that go on with it."""
    blocks = re.findall(r"(?:^    .*\n)+", PAGE.read_text(), re.MULTILINE)
    text = "\n".join(line[4:] for line in blocks[-1].splitlines())
    parts = [part.partition("\n")[2].strip() for part in re.split(r"^(?=# )", text, flags=re.MULTILINE) if part.strip()]
    assert len(parts) == 4
    return parts


def test_a_prediction_is_found_in_logs_traces_detector_and_labelled_rows(tmp_path: Path) -> None:
    kept = Kept(tmp_path / ".lifeboat")
    with collecting() as collector:
        kept.settings = replace(kept.settings, traces=collector.url)
        (tmp_path / ".lifeboat").mkdir()
        (tmp_path / ".lifeboat" / "log-level").write_text("debug\n")
        try:
            kept.deploy("tiny")
            ensure_detector(kept.settings, {"export_seconds": "0.2"}, say=lambda _: None)
            said = call(f"{kept.url}/predict", request_of([{**people(1)[0], "id": 7}]))
            puid, trace = said.json["meta"]["puid"], said.headers["traceresponse"].split("-")[1]
            truth = {"response": said.json, "truth": {"data": {"ndarray": [1]}}}
            assert call(f"{kept.url}/api/v1.0/feedback", truth).status == 200
            detector = f"{kept.detector_url}/drift"
            eventually(lambda: call(detector).json["feedback"]["exported"] == 1)
            collector.until(4, trace)
            environment = {
                **kept.environment, "PUID": puid, "JAEGER": collector.url, "LIFEBOAT_USECASE": "tests.cli.tiny",
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT),
            }  # fmt: skip
            found = [_run(part, tmp_path, environment) for part in script()]
        finally:
            kept.lifeboat("stop")
    log, traces, database, rows = found
    assert f'"request_id": "{puid}"' in log
    assert f'"trace_id": "{trace}"' in log
    assert f'"traceID": "{trace}"' in traces
    assert {name for name in ("run the model", "send the event", "take the event") if name in traces} != set()
    assert re.search(r"\('tiny', '1', '[0-9a-f]{64}', '\d{4}-\d\d-\d\d \d\d:\d\d:\d\d', 1\)", database)
    assert puid in rows


def _run(part: str, folder: Path, environment: dict[str, str]) -> str:
    begun = time.monotonic()
    done = subprocess.run(
        ["bash", "-euc", part], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, (part, done.stdout, done.stderr, time.monotonic() - begun)
    return done.stdout
