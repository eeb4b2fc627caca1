"""A run of the pipeline from Python: a process of its own, whose lines are shown as they come, and what came of it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.jupyter import JupyterMixin

from lifeboat.api.asking import Model, load
from lifeboat.cli.report import gate_table, metrics_table
from lifeboat.config.errors import LifeboatError, PipelineError, SettingsError
from lifeboat.config.seeds import check_seed
from lifeboat.config.settings import Settings, inherited, read_settings
from lifeboat.data.timestamps import format_timestamp, read_timestamp
from lifeboat.notebook.jupyter import Page
from lifeboat.usecase.gates import Interval
from lifeboat.usecase.importing import reference_of
from lifeboat.usecase.usecase import UseCase

# As wide as a notebook's cell.
COLUMNS = 110
# In which a run that is interrupted puts back what it has begun.
GRACE_SECONDS = 30.0
# It is interrupted by us alone, also where we were started to ignore that, as in the background of a script.
_PROGRAM = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from lifeboat.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@dataclass(frozen=True)
class Run(JupyterMixin):
    """What came of a run; a notebook shows its figures and its verdict.

    Args:
        folder: of the run, with its pages, its log and the steps' outputs.
        bundle: directory of the model that was trained.
        evaluation: all figures, as evaluation.json has them.
        verdict: each criterion of the gate, whether it holds and why.
        deployment: name, version and url of the new champion; None where the gate refused it.
        url: of the model server of the champion, the new one or the one before; empty where none serves.
    """

    folder: Path
    bundle: Path
    evaluation: dict[str, Any]
    verdict: dict[str, Any]
    deployment: dict[str, Any] | None
    url: str

    @property
    def deployed(self) -> bool:
        """Whether the new model passed its gate and serves."""
        return self.deployment is not None

    @property
    def metrics(self) -> dict[str, float]:
        """Each metric on the held-out rows; `evaluation` has the intervals, the baseline's and the champion's."""
        return {name: figure["value"] for name, figure in self.evaluation["metrics"].items()}

    @property
    def gains(self) -> dict[str, Interval]:
        """How much better than the champion it is on the same rows, by metric.

        Empty where there was none, and where it is the champion's own bundle, trained once more.
        """
        pair = self.evaluation["evidence"]["champion"]
        return {name: Interval(**gain) for name, gain in pair["improvement"].items()} if pair else {}

    @property
    def card(self) -> Page:
        """The model card."""
        return Page(self.folder / "model-card.html")

    @property
    def profile(self) -> Page:
        """The data profile."""
        return Page(self.folder / "data-profile.html")

    @property
    def model(self) -> Model:
        """The trained model, deployed or not, in this process."""
        return load(self.bundle)

    def __rich__(self) -> Group:
        outcome = f"Deployed, version {self.deployment['version']}" if self.deployment else "Not deployed"
        return Group(
            metrics_table(self.evaluation), gate_table(self.verdict), f"{outcome}; {self.url or 'none'} serves."
        )


def run(
    usecase: UseCase | str | Path | None = None,
    *,
    data: str | Path | None = None,
    require: str = "",
    seed: int = 0,
    labelled: bool = True,
    as_of: str | datetime | None = None,
    reason: str = "manual",
    begin_anew: str = "",
    settings: Settings | None = None,
    say: Callable[[str], object] = print,
) -> Run:
    """Prepares, trains, judges, and ships what passes its gate, as `lifeboat run` does.

    Args:
        usecase: a module's USECASE, or a name, dotted module or path of one; the settings' unless given.
        data: path or URL of the labelled table; the use case's own unless given.
        require: further gates, such as 'roc_auc>=0.9'.
        seed: of everything random.
        labelled: whether the rows that came back from serving are taken as well.
        as_of: the moment as of which these are known, a text or a datetime with its zone; now unless given.
        reason: why it is run, kept in the registry.
        begin_anew: why the champion is not to be compared with; empty where it is.
        settings: of the home; those of the project of this folder, and of the environment, unless given.
        say: takes each line of progress.

    Raises:
        SettingsError: an argument is none of these.
        LifeboatError: of the kind that ended the run; of a step's, PipelineError.
        KeyboardInterrupt: once the run has ended; what served before still serves.
    """
    own = (settings or read_settings()).resolved()
    if isinstance(usecase, UseCase):
        usecase = reference_of(usecase, own.usecase)
    texts = {"usecase": usecase or own.usecase, "data": data, "require": require, "reason": reason,
             "as-of": _moment(as_of), "begin-anew": begin_anew}  # fmt: skip
    given = [f"--{name}={text}" for name, value in texts.items() if (text := _text(name, value))]
    given.append(f"--seed={check_seed(seed)}")
    with tempfile.TemporaryDirectory(prefix="lifeboat-") as folder:
        result = Path(folder) / "result.json"
        words = ["run", *given, *([] if labelled else ["--no-labelled"]), f"--result={result}"]
        last = _run(words, own, say)
        document = json.loads(result.read_bytes()) if result.exists() else None
    if document is None:
        raise PipelineError(last.removeprefix("lifeboat: ") or "the run ended without a word")
    if "error" in document:
        raise LifeboatError.from_document(document)
    return Run(**{**document, "folder": Path(document["folder"]), "bundle": Path(document["bundle"])})


def _moment(given: str | datetime | None) -> str:
    """As the command line takes it."""
    if isinstance(given, datetime):
        given = given.isoformat()
    moment = read_timestamp(given or "", "as_of")
    return format_timestamp(moment) if moment else ""


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str | Path | None):
        raise SettingsError(f"{name} is a {type(value).__name__}, not a text{' or a path' if name == 'data' else ''}")
    text = str(value or "")
    if "\0" in text:
        raise SettingsError(f"{name} holds a null character, which no argument can")
    return text


def _run(words: Sequence[str], settings: Settings, say: Callable[[str], object]) -> str:
    """Shows the lines of `lifeboat` and gives the last one.

    The steps are forked, for which a kernel of Jupyter, with its threads, is no parent: so it is a process of its own,
    and a process group of its own, which an interruption reaches once, by us.
    """
    line = ""
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, process_group=0,
        env={**inherited(), **settings.environment(), "COLUMNS": str(COLUMNS)},
    ) as process:  # fmt: skip
        try:
            for text in process.stdout or ():
                line = text.rstrip("\n")
                say(line)
        except BaseException:
            _end(process)
            raise
    return line


def _end(process: subprocess.Popen[str]) -> None:
    """Interrupts all of it, and kills it where it does not end, or a second interruption comes."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.communicate(timeout=GRACE_SECONDS)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            os.killpg(process.pid, signal.SIGKILL)
