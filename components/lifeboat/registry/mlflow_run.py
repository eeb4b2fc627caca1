"""What one evaluation is in MLflow: a run with its tags, parameters, metrics, data and model, its search as child runs.

Through MLflow's client alone, which keeps no state of the process and asks nothing twice.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from lifeboat.model.bundle import Bundle
from lifeboat.registry.mlflow_model import write_model
from lifeboat.registry.versions import user
from lifeboat.usecase.column import Column
from lifeboat.usecase.gates import Verdict

# What a table is used for, in MLflow's words.
TRAINING, TESTING = "training", "testing"
# Characters of a tag at most; of a run's tag MLflow takes 8,000.
TAG = 4000
# Of a data set's digest MLflow takes so many.
_DATA_DIGEST = 36
# Requests to a tracking server at once: one after the other, nine trials take more than a second.
_TRIALS_AT_ONCE = 5
_ODD = re.compile(r"[^\w./ :-]")
_TYPES = {
    "string": "string", "category": "string", "float": "double", "integer": "long", "boolean": "boolean",
    "datetime": "datetime",
}  # fmt: skip


@dataclass(frozen=True)
class LoggedData:
    """A table that a run used.

    Args:
        name: for people.
        digest: of its content; MLflow shows the first 36 characters.
        source: path or URL where it was read.
        context: what it was used for, TRAINING or TESTING.
        columns: inputs and label.
        facts: counts and whole digests, JSON values.
    """

    name: str
    digest: str
    source: str
    context: str
    columns: tuple[Column, ...]
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Evaluated:
    """One evaluation of a bundle.

    Args:
        bundle: that was judged.
        verdict: of its gate.
        metrics: on the held-out rows, by name.
        reports: a directory of files, such as the model card.
        reason: why it was started.
        data: the tables that were used.
    """

    bundle: Bundle
    verdict: Verdict
    metrics: Mapping[str, float]
    reports: Path
    reason: str
    data: Sequence[LoggedData]

    @property
    def version_tags(self) -> dict[str, str]:
        """Which bundle, data and code, and what the gate said; without that, of a logged model as well."""
        lineage = self.bundle.manifest["lineage"]
        outcome = "passed" if self.verdict.passed else f"failed: {'; '.join(self.verdict.reasons)}"
        return {
            "bundle_digest": self.bundle.digest,
            "data_digest": str(lineage["data"]["digest"]),
            "code_commit": str(lineage["code"]),
            # A bundle of the first edition does not say it.
            "lifeboat_version": str(lineage.get("version", "unknown")),
            "usecase": self.bundle.usecase,
            "gate": outcome[:TAG],
        }

    @property
    def parameters(self) -> dict[str, Any]:
        """Of the training."""
        training, seed = self.bundle.manifest["training"], self.bundle.manifest["lineage"]["seed"]
        calibration = json.dumps(training["calibration"])
        return {
            "candidate": training["candidate"], "calibration": calibration, "seed": seed, **training["parameters"]
        }  # fmt: skip


def log(client: Any, experiment: str, evaluated: Evaluated) -> str:
    """Logs the evaluation of a bundle that MLflow has as a model already; gives the run's id."""
    with _running(client, experiment, evaluated) as run_id:
        _log(client, experiment, evaluated, run_id, None)
    return run_id


def log_with_model(client: Any, experiment: str, evaluated: Evaluated) -> tuple[str, str]:
    """Logs an evaluation, and the bundle as a model that MLflow can load; gives the ids of run and model."""
    with _running(client, experiment, evaluated) as run_id:
        model_id = _log_model(client, experiment, evaluated, run_id)
        _log(client, experiment, evaluated, run_id, model_id)
    return run_id, model_id


def _log(client: Any, experiment: str, evaluated: Evaluated, run_id: str, model_id: str | None) -> None:
    training = evaluated.bundle.manifest["training"]
    figures = {**evaluated.metrics, **_cross_validated(training.get("cross_validation", {}))}
    client.log_batch(run_id, metrics=_metrics(figures, model_id), params=_parameters(evaluated.parameters))
    if evaluated.data:
        client.log_inputs(run_id, [_dataset_input(data) for data in evaluated.data])
    client.log_artifacts(run_id, str(evaluated.reports), "reports")
    _log_trials(client, experiment, run_id, [*training.get("trials", ()), *training.get("given_up", ())])


def _log_model(client: Any, experiment: str, evaluated: Evaluated, run_id: str) -> str:
    from mlflow.entities import LoggedModelOutput

    bundle = evaluated.bundle
    made = client.create_logged_model(experiment, bundle.usecase, source_run_id=run_id, tags=evaluated.version_tags)
    number = str(made.model_id)
    with tempfile.TemporaryDirectory() as folder:
        place = made.artifact_location
        write_model(Path(folder), bundle, run_id=run_id, model_id=number, model_uuid=number, artifact_path=place)
        client.log_model_artifacts(number, folder)
    client.log_outputs(run_id, [LoggedModelOutput(number, step=0)])
    client.finalize_logged_model(number, "READY")
    return number


def _log_trials(client: Any, experiment: str, parent: str, trials: Sequence[Mapping[str, Any]]) -> None:
    """Logs the trials of the search as runs below their parent's, the best one as the last to begin."""
    log_one = partial(_log_trial, client, experiment, parent)
    with ThreadPoolExecutor(_TRIALS_AT_ONCE) as pool:
        # On SQLite each writer would wait for the others.
        apply = map if client.tracking_uri.startswith("sqlite:") else pool.map
        list(apply(log_one, range(1, len(trials) + 1), trials))


def _log_trial(client: Any, experiment: str, parent: str, place: int, trial: Mapping[str, Any]) -> None:
    """The bundle knows no times, so a trial lasts a moment; one that was given up is killed in MLflow's words."""
    shown = ", ".join(f"{name.rpartition('__')[2]}={value}" for name, value in trial["parameters"].items())
    name = f"trial {place}: {trial['candidate']}{f' ({shown})' if shown else ''}"
    began, tags = _milliseconds() - place, {"mlflow.parentRunId": parent}
    run_id = client.create_run(experiment, start_time=began, run_name=name[:250], tags=tags).info.run_id
    parameters = {"candidate": trial["candidate"], **trial["parameters"]}
    folds = trial.get("folds")  # of one that was given up
    client.log_batch(run_id, metrics=_metrics(_cross_validated(trial)), params=_parameters(parameters))
    if folds is not None:
        client.set_tag(run_id, "folds", folds)
    client.set_terminated(run_id, "FINISHED" if folds is None else "KILLED")


@contextmanager
def _running(client: Any, experiment: str, evaluated: Evaluated) -> Iterator[str]:
    """A run for the length of the block, which has failed if the block does; gives its id."""
    run_id = client.create_run(experiment, tags=_run_tags(evaluated), run_name=_run_name(evaluated)).info.run_id
    try:
        yield str(run_id)
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id)


def _run_name(evaluated: Evaluated) -> str:
    """Sorted by name runs stand in order of time: '2026-11-26 04:12:07.512 passed 3f29a1c07be4'."""
    moment = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3]
    return f"{moment} {'passed' if evaluated.verdict.passed else 'refused'} {evaluated.bundle.digest[:12]}"


def _run_tags(evaluated: Evaluated) -> dict[str, str]:
    tags = {
        **evaluated.version_tags, "reason": evaluated.reason, "mlflow.user": user(), "mlflow.source.name": "lifeboat",
    }  # fmt: skip
    commit = re.match("[0-9a-f]{40}", tags["code_commit"])
    return {**tags, "mlflow.source.git.commit": commit[0]} if commit else tags


def _cross_validated(figures: Mapping[str, Any]) -> dict[str, float]:
    """The metrics among the facts of a trial or a search: what is a float."""
    return {f"cv.{name}": value for name, value in figures.items() if isinstance(value, float)}


def _metrics(figures: Mapping[str, float], model_id: str | None = None) -> list[Any]:
    from mlflow.entities import Metric

    now = _milliseconds()
    # MLflow takes no other characters, and a class may have any.
    named = ((_ODD.sub("_", name), value) for name, value in figures.items())
    return [Metric(name, value, now, 0, model_id=model_id) for name, value in named]


def _milliseconds() -> int:
    """Now, as MLflow counts time."""
    return int(time.time() * 1000)


def _parameters(values: Mapping[str, Any]) -> list[Any]:
    from mlflow.entities import Param

    return [Param(name, str(value)) for name, value in values.items()]


def _dataset_input(data: LoggedData) -> Any:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    columns = [
        {"type": _TYPES[column.kind], "name": column.name, "required": not column.nullable} for column in data.columns
    ]
    # The names of MLflow's own kinds of source: of another one MLflow cannot say where the table is.
    scheme, remote, _ = data.source.partition("://")
    dataset = Dataset(
        name=data.name,
        digest=data.digest[:_DATA_DIGEST],
        source_type=scheme if remote else "local",
        source=json.dumps({"uri": data.source if remote else str(Path(data.source).resolve())}),
        schema=json.dumps({"mlflow_colspec": columns}),
        profile=json.dumps(dict(data.facts)),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", data.context)])
