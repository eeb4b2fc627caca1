"""What the command line prints for a person: tables, and the endpoint with a first request."""

from __future__ import annotations

import json
import math
import shlex
from typing import Any

from rich.console import Console
from rich.table import Table

from lifeboat.deploy.probe import ask
from lifeboat.usecase.usecase import UseCase

_TITLES = {
    "latency_p50_us": "Latency, median (µs)",
    "latency_p99_us": "Latency, 99th percentile (µs)",
}


def metrics_table(evaluation: dict[str, Any]) -> Table:
    """Metrics with their 95 % intervals, beside the baseline's and the champion's."""
    table = Table(title=f"On {evaluation['rows']:,} held-out rows", title_justify="left")
    for name in ("metric", "this model", "95 % interval", "baseline", "champion"):
        table.add_column(name, justify="left" if name == "metric" else "right")
    champion, titles = evaluation["champion"] or {}, {**evaluation["titles"], **_TITLES}
    for name, figure in evaluation["metrics"].items():
        interval = f"{_figure(figure['low'])} to {_figure(figure['high'])}" if figure["low"] != figure["high"] else ""
        others = [_figure(part[name]["value"]) if name in part else "" for part in (evaluation["baseline"], champion)]
        table.add_row(titles[name], _figure(figure["value"]), interval, *others)
    return table


def gate_table(verdict: dict[str, Any]) -> Table:
    """Every criterion, whether it holds and why."""
    outcome = "passed" if verdict["passed"] else "not passed"
    table = Table("criterion", "", "why", title=f"Gate: {outcome}", title_justify="left")
    for item in verdict["criteria"]:
        mark = "[green]yes[/green]" if item["passed"] else "[red]no[/red]"
        table.add_row(item["name"], mark, item["why"].replace("[", r"\["))
    return table


def say_live(console: Console, url: str, rpc: int | None, usecase: UseCase, token: str = "") -> None:
    """Prints the endpoint, its port of gRPC, one curl command, and its real answer."""
    names = list(usecase.schema.names)
    values = list(usecase.schema.example().values())
    body = json.dumps({"data": {"names": names, "ndarray": [values]}}, ensure_ascii=False)
    [answer], tags = ask(url, [usecase.schema.example()], token=token)
    console.print(
        f"  endpoint      {url}/api/v1.0/predictions (Seldon), {url}/v2 (Open Inference Protocol)"
        + (f", both over gRPC at port {rpc}" if rpc else ""),
        soft_wrap=True,
    )
    console.print(
        f"  try           curl -s {url}/api/v1.0/predictions -H 'Content-Type: application/json' \\", soft_wrap=True
    )
    if token:
        console.print('                  -H "Authorization: Bearer $TOKEN" \\', soft_wrap=True, markup=False)
    console.print(f"                  -d {shlex.quote(body)}", soft_wrap=True, markup=False)
    shown = ", ".join(f"{name} {number:.3f}" for name, number in zip(usecase.task.names, answer, strict=True))
    console.print(f"  answers       {shown}  {json.dumps(tags)}", soft_wrap=True, markup=False)


def _figure(value: float) -> str:
    if value and not 0.0001 <= abs(value) < 10_000:
        return f"{value:.3g}"
    return f"{value:.{max(0, 4 - max(0, math.floor(math.log10(abs(value))) + 1)) if value else 4}f}"
