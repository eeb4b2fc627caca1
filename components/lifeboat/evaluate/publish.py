"""Evaluate a bundle against the registry's champion, write what was found, and register it as the challenger."""

from __future__ import annotations

import csv
import io
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path

import pyarrow.parquet as pq

from lifeboat.evaluate.card import Card, card_plots, model_card
from lifeboat.evaluate.evaluation import Evaluation
from lifeboat.evaluate.step import evaluate
from lifeboat.model.bundle import Bundle
from lifeboat.preprocess.step import METADATA, read_summary
from lifeboat.registry.mlflow_run import TESTING, TRAINING, LoggedData
from lifeboat.registry.registry import CHAMPION, Registry
from lifeboat.registry.versions import Version
from lifeboat.system.files import write_text
from lifeboat.usecase.usecase import UseCase

# Columns whose importance is a metric of the run; the table has all.
_COLUMNS = 50
# The card among the reports.
HTML, MARKDOWN = "model-card.html", "model-card.md"


@dataclass(frozen=True)
class Outputs:
    """Where the files go: model card (HTML, Markdown), all figures (JSON), the verdict (JSON)."""

    card: Path
    card_markdown: Path
    evaluation: Path
    verdict: Path


def evaluate_and_register(
    usecase: UseCase,
    bundle: Bundle,
    test: Path,
    registry: Registry,
    outputs: Outputs,
    *,
    extra_gates: str = "",
    reason: str = "",
    begin_anew: str = "",
    profile: Path | None = None,
    say: Callable[[str], None] = print,
) -> Evaluation:
    """Judges a bundle and makes it the challenger, whether it passes or not.

    Args:
        usecase: gates, slices, baseline.
        bundle: to judge.
        test: the held-out rows.
        registry: gives the champion and takes the challenger.
        outputs: written whole or not at all.
        extra_gates: further bounds, see `lifeboat.usecase.gates.parse_bounds`.
        reason: why this run was started, for the registry.
        begin_anew: why the champion is not to be compared with; empty where it is.
        profile: the data profile, to be kept with the run.
        say: told of each stage.
    """
    version = registry.aliased(usecase.name, CHAMPION)
    champion = registry.bundle(version) if version else None
    say(f"champion: {f'version {version.version}' if version else 'none yet'}")
    found = evaluate(usecase, bundle, test, champion=champion, extra_gates=extra_gates, begin_anew=begin_anew, say=say)
    plots = card_plots(found, usecase)
    card = model_card(found, bundle, usecase, plots=plots)
    _write_card(outputs, card)
    write_text(outputs.evaluation, found.to_json())
    write_text(outputs.verdict, found.verdict.to_json())

    def naming_version(version: Version) -> dict[str, str]:
        named = model_card(found, bundle, usecase, plots=plots, version=version.version)
        _write_card(outputs, named)
        return {HTML: named.html, MARKDOWN: named.markdown}

    with tempfile.TemporaryDirectory() as folder:
        _collect(Path(folder), card, found, outputs, profile)
        metrics, data = logged_metrics(found), logged_data(bundle, test, found)
        challenger = registry.register(
            bundle, found.verdict, metrics, Path(folder), reason=reason, data=data, naming_version=naming_version
        )
    say(f"registered as version {challenger.version}: {registry.place(challenger)}")
    return found


def _write_card(outputs: Outputs, card: Card) -> None:
    write_text(outputs.card, card.html)
    write_text(outputs.card_markdown, card.markdown)


def logged_metrics(found: Evaluation) -> dict[str, float]:
    """The figures of a run: 'roc_auc' with its limits 'roc_auc.low' and 'roc_auc.high', and those of the other models.

    The baseline's 'baseline.roc_auc' is on the same rows, the champion's 'champion.roc_auc' on those it had not seen;
    'importance.Age' is the permutation importance of a column, of many columns that of the most important.
    """
    metrics: dict[str, float] = {}
    for name, figure in found.metrics.items():
        metrics |= {name: figure.value, f"{name}.low": figure.low, f"{name}.high": figure.high}
    for model, figures in (("baseline", found.baseline), ("champion", found.champion or {})):
        metrics |= {f"{model}.{name}": figure.value for name, figure in figures.items()}
    ranked = list(found.explanation.permutation.columns.items())[:_COLUMNS]
    return metrics | {f"importance.{name}": figure.value for name, figure in ranked}


def importance_table(found: Evaluation) -> str:
    """What each column is worth and how far it moves answers, with limits, as CSV: MLflow shows that as a table."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    names = ("importance", "contribution")
    limits = [f"{name}{ending}" for name in names for ending in ("", "_low", "_high")]
    writer.writerow(["column", *limits])
    far = found.explanation.contributions.columns
    for name, worth in found.explanation.permutation.columns.items():
        writer.writerow([name, *(f"{figure:.6g}" for one in (worth, far[name]) for figure in astuple(one))])
    return file.getvalue()


def logged_data(bundle: Bundle, test: Path, found: Evaluation) -> list[LoggedData]:
    """The tables behind an evaluation; of rows that `preprocess` did not write, where they came from is not known."""
    name, columns = bundle.usecase, (*bundle.schema.columns, bundle.schema.label.stored_column)
    facts = {"num_rows": found.rows, **found.label, "from_feedback": found.data.feedback}
    if METADATA not in (pq.read_schema(test).metadata or {}):
        return [LoggedData(f"{name} held out", found.data.sha256, str(test), TESTING, columns, facts)]
    made = read_summary(test)
    training = {"num_rows": made.train, "digest": made.digest, "labelled_digest": made.labelled_digest}
    return [
        LoggedData(f"{name} training", made.digest, made.source, TRAINING, columns, training | {"split": made.split}),
        LoggedData(f"{name} held out", found.data.sha256, made.source, TESTING, columns, facts | {"split": made.split}),
    ]


def _collect(folder: Path, card: Card, found: Evaluation, outputs: Outputs, profile: Path | None) -> None:
    """The reports of the run, as the registry keeps them."""
    for name, content in card.plots.items():
        (folder / f"{name}.png").write_bytes(content)
    write_text(folder / "importance.csv", importance_table(found))
    shutil.copyfile(outputs.card, folder / HTML)
    shutil.copyfile(outputs.card_markdown, folder / MARKDOWN)
    shutil.copyfile(outputs.evaluation, folder / "evaluation.json")
    shutil.copyfile(outputs.verdict, folder / "verdict.json")
    if profile is not None:
        shutil.copyfile(profile, folder / "data-profile.html")
