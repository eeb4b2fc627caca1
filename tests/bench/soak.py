"""Our server under many requests: whether its memory, descriptors, threads or times grow."""

from __future__ import annotations

import json
import re
import sys
import time
import urllib.request
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from statistics import quantiles
from typing import Any

from tests.bench.load import Load, render

RATE = 2000
say = sys.stdout.write


def message(row: dict[str, Any], rows: int = 1) -> str:
    """A prediction of some rows."""
    return json.dumps({"data": {"names": list(row), "ndarray": [list(row.values())] * rows}})


def print_mixed(port: int, row: dict[str, Any], requests: int) -> int:
    """Valid and broken payloads in turn; every broken one is to be a 400."""
    good = message(row).encode()
    wrong_value, unknown = ({**row, name: "x" * 999} for name in (next(iter(row)), "unknown"))
    broken = [b"{", b"", b"[]", good[:-9], message(wrong_value).encode(), message(unknown).encode()]
    messages = [(render("/predict", body), status) for bad in broken for body, status in ((good, 200), (bad, 400))]
    before = _resident(port)
    load = Load(port, 16, cycle(messages))
    seconds = load.run(requests=requests)
    wrong = sum(number for (wanted, status), number in load.statuses.items() if wanted != status)
    classes = {name: sum(n for (_, s), n in load.statuses.items() if s // 100 == name) for name in (2, 4, 5)}
    counts = ", ".join(f"{number:,} of {name}xx" for name, number in classes.items())
    say(f"{requests:,} requests, half of them broken, in {seconds:.0f} s: {counts}, {wrong} otherwise than due; ")
    time.sleep(2.5)
    say(f"memory {before:.1f} MB before, {_resident(port):.1f} MB after (target: flat, under 150 MB)\n")
    return wrong


def soak(port: int, process: int, row: dict[str, Any], seconds: float) -> int:
    """Prints a line a minute; gives the number of answers that were not 200. Reads /proc, so for Linux only."""
    load = Load(port, 16, cycle((sent, 200) for sent in _messages(row)), RATE)
    say(f"{'seconds':>8}{'requests':>12}{'p50 ms':>9}{'p99 ms':>9}{'RSS MB':>9}{'descriptors':>13}{'threads':>9}\n")
    past, minute = 0.0, min(60.0, seconds)
    while past < seconds:
        load.times.clear()
        past += load.run(seconds=minute)
        hundredths = quantiles(load.times, n=100)
        resident, threads = (_status(process, name) for name in ("VmRSS", "Threads"))
        descriptors = len(list(Path(f"/proc/{process}/fd").iterdir()))
        say(f"{past:8.0f}{sum(load.statuses.values()):12,}{hundredths[49] * 1e3:9.3f}{hundredths[98] * 1e3:9.3f}")
        say(f"{resident / 1e3:9.1f}{descriptors:13}{threads:9}\n")
        sys.stdout.flush()
    wrong = sum(number for (wanted, status), number in load.statuses.items() if wanted != status)
    say(f"{wrong} answers that were not 200\n")
    return wrong


def _messages(row: dict[str, Any]) -> Iterator[bytes]:
    """Each form of a valid request."""
    names, values = list(row), list(row.values())
    one = {"data": {"names": names, "ndarray": [values]}}
    predictions = [
        one,
        {"data": {"ndarray": [values] * 10}},
        {"data": {"names": names[::-1], "tensor": {"shape": [1, len(row)], "values": values[::-1]}}},
        {"jsonData": row, "meta": {"puid": "p", "tags": {"team": "blue"}}},
    ]
    for document in predictions:
        yield render("/predict", json.dumps(document).encode())
    feedback = {"request": one, "truth": {"data": {"ndarray": [1]}}, "reward": 1.0}
    yield render("/send-feedback", json.dumps(feedback).encode())


def _status(process: int, name: str) -> int:
    """A number of /proc's status: kilobytes or a count."""
    found = re.search(rf"^{name}:\s+(\d+)", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


def _resident(port: int) -> float:
    """Megabytes in use, as the server says."""
    metrics = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    found = re.search(r"^lifeboat_process_resident_memory_bytes\S* ([\d.e+]+)", metrics, re.MULTILINE)
    return float(found[1]) / 1e6 if found else 0.0
