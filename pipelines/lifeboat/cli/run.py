"""`lifeboat run`: the whole way on this machine, with a report at the end."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from lifeboat.cli.arguments import pipeline_arguments
from lifeboat.cli.known import remember
from lifeboat.cli.report import gate_table, metrics_table, say_live
from lifeboat.cli.serving import ensure_champion_serves
from lifeboat.config.errors import LifeboatError, PipelineError, SettingsError
from lifeboat.config.home_access import home_token
from lifeboat.config.home_ports import HomePorts
from lifeboat.config.settings import Settings
from lifeboat.model.bundle import open_bundle
from lifeboat.pipeline.local_run import Result, RunEvent, local_steps, run_pipeline
from lifeboat.pipeline.steps.events import SERVICE
from lifeboat.registry.mlflow_client import Connection
from lifeboat.services.detector import ensure_detector
from lifeboat.services.explainer import ensure_explainer
from lifeboat.services.home_page import ensure_home_page
from lifeboat.services.keeper.daemon import keeping_in_background
from lifeboat.services.ports import refuse_strangers, reserve_ports
from lifeboat.system.addresses import server_of
from lifeboat.system.files import write_text
from lifeboat.system.markup import terminal_text
from lifeboat.system.progress import LEFT_OUT
from lifeboat.system.tracing import DIGEST, FLUSH_SECONDS, Span, Tracer, ended, open_tracer
from lifeboat.usecase.usecase import UseCase

NOT_DEPLOYED = 3


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Runs the pipeline and reports; gives 3 if --require-deploy was asked and nothing was deployed."""
    if options.result:
        if not options.result.parent.is_dir() or not os.access(options.result.parent, os.W_OK):
            raise SettingsError(f"--result {options.result} cannot be written: its folder is none that we may write to")
        # That of a run before would be taken for this one's, if it is killed.
        options.result.unlink(missing_ok=True)
    try:
        return _run(options, settings)
    except LifeboatError as error:
        if options.result:
            write_text(options.result, json.dumps(error.to_document()) + "\n")
        raise


def _run(options: argparse.Namespace, settings: Settings) -> int:
    console = Console(file=sys.stdout, highlight=False)
    start = time.perf_counter()
    # What would end the run at its last step should not cost a training first.
    arguments = pipeline_arguments(options, "local")
    refuse_strangers(settings)
    Connection(settings.tracking, settings.shown_tracking).check_folder()
    with keeping_in_background(settings):
        result, url = _run_and_report(options, arguments, settings, console)
    if options.result:
        write_text(options.result, json.dumps({**asdict(result), "url": url}, default=str) + "\n")
    console.print(f"\nDone in {time.perf_counter() - start:.0f} s.")
    return NOT_DEPLOYED if options.require_deploy and result.deployment is None else 0


def _run_and_report(
    options: argparse.Namespace, arguments: dict[str, Any], settings: Settings, console: Console
) -> tuple[Result, str]:
    """The result, and the URL of what serves now, empty where nothing does."""
    with local_steps() as processes:
        # Not before: it brings scikit-learn, and kfp looks through all that is loaded when it builds the pipeline.
        from lifeboat.cli.check import find, show_findings

        found = find(options, settings)
        if found.usecase is None or found.problems:
            if len(found.problems) == 1:
                raise PipelineError(found.problems[0])
            show_findings(found, console)
            raise PipelineError(f"{len(found.problems)} problems, see above, would stop the run: it was not begun")
        usecase = found.usecase
        # A run is traced whatever share of the requests is: there are few. Opened behind the fork of `local_steps`.
        tracer = open_tracer(SERVICE, replace(settings.of_services, trace_share=1.0))
        settings.make_environments(lambda text: console.print(f"  {text}", markup=False, soft_wrap=True))
        remember(usecase.name, options.usecase, settings)
        notes = reserve_ports(settings, usecase.name)
        folder = settings.home_path / "runs" / f"{usecase.name}-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
        console.print(f"[bold]{usecase.title}[/bold]  (use case {usecase.name}, run {folder.name})", soft_wrap=True)
        for note in notes:
            console.print(f"  {note}", markup=False, soft_wrap=True)
        show_findings(found, console)
        steps = _Steps(console, verbose=options.verbose)
        with _traced(tracer, usecase.name, folder) as span:
            result = run_pipeline(folder, arguments, steps.show, processes, span)
            if tracer is not None and span is not None and result.bundle is not None:
                span.attributes[DIGEST] = digest = open_bundle(result.bundle).digest
                tracer.made_by(digest, span)

    def say(text: str) -> None:
        console.print(f"  {text}", markup=False, soft_wrap=True)

    home = ensure_home_page(settings, say)
    url = _report(result, usecase, settings, console, steps.left_out, home)
    page = ensure_detector(settings, say=say)
    ensure_explainer(settings, say)
    if page:
        console.print(f"  drift         {page}", soft_wrap=True)
    return result, url


@contextmanager
def _traced(tracer: Tracer | None, usecase: str, folder: Path) -> Iterator[Span | None]:
    """The span of a run; None where nobody wants it."""
    if tracer is None:
        yield None
        return
    span = tracer.begin("", "lifeboat run", "internal")
    assert span is not None  # noqa: S101  # the share is all
    span.attributes |= {"lifeboat.usecase": usecase, "lifeboat.run": folder.name}
    try:
        with ended(span):
            yield span
    finally:
        tracer.close(FLUSH_SECONDS)


class _Steps:
    """Prints the events of a run, a line each."""

    def __init__(self, console: Console, *, verbose: bool) -> None:
        self._console, self._verbose = console, verbose
        self._number = 0
        # What training said of candidates that it could not use.
        self.left_out: list[str] = []

    def show(self, event: RunEvent) -> None:
        if event.kind == "start":
            self._number += 1
            self._console.print(f"\n[bold cyan]{self._number}. {event.step}[/bold cyan]")
        elif event.kind == "note":
            if event.text.startswith(LEFT_OUT):
                self.left_out.append(event.text.removeprefix(LEFT_OUT))
            self._console.print(f"   {terminal_text(event.text)}", markup=False, soft_wrap=True)
        elif event.kind == "line":
            if self._verbose:
                self._console.print(f"   {event.text}", style="dim", markup=False, soft_wrap=True)
        elif event.text == "SUCCESS":
            self._console.print(f"   [green]done[/green] in {event.seconds:.1f} s")
        else:
            self._console.print(f"   [red]failed[/red] after {event.seconds:.1f} s")


def _report(
    result: Result, usecase: UseCase, settings: Settings, console: Console, left_out: list[str], home: str
) -> str:
    if result.evaluation is None or result.verdict is None:
        raise LifeboatError(f"the run left no evaluation in {result.folder}")
    console.print()
    console.print(metrics_table(result.evaluation))
    console.print(gate_table(result.verdict))
    url = _say_outcome(result, usecase, settings, console, home)
    for problem in left_out:
        console.print(f"  left out      {problem}", markup=False, soft_wrap=True)
    console.print(f"  model card    {result.folder / 'model-card.html'}", soft_wrap=True)
    console.print(f"  data profile  {result.folder / 'data-profile.html'}", soft_wrap=True)
    console.print(f"  run log       {result.folder / 'run.log'}", soft_wrap=True)
    mlflow = shlex.quote(str(Path(sys.executable).with_name("mlflow")))
    ui = f"{mlflow} ui --backend-store-uri {shlex.quote(settings.shown_tracking)}"
    console.print(f"  registry      {ui}", soft_wrap=True)
    return url


def _say_outcome(result: Result, usecase: UseCase, settings: Settings, console: Console, home: str) -> str:
    if result.deployment is not None:
        version, url = result.deployment["version"], str(result.deployment["url"])
        console.print(f"[bold green]Deployed[/bold green] {usecase.name} version {version}, the new champion.")
    else:
        console.print("[bold yellow]Not deployed[/bold yellow], because")
        for item in (result.verdict or {})["criteria"]:
            if not item["passed"]:
                console.print(f"  - {item['name']}: {item['why']}", markup=False, soft_wrap=True)
        url = ensure_champion_serves(usecase.name, settings, console) or ""
    if home:
        console.print(f"  [bold]open          {home}[/bold]  what serves, and from there every page", soft_wrap=True)
    if url:
        rpc = HomePorts(settings).kept(server_of(usecase.name)).get("grpc_port")
        say_live(console, url, rpc, usecase, home_token(settings))
    return url
