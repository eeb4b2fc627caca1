"""Evaluate a bundle against the registry's champion, write what was found, and register it as the challenger."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from components.core.bundle import Bundle
from components.core.files import write_text
from components.core.registry import CHAMPION, Registry
from components.core.usecase import UseCase
from components.evaluate.card import Card, model_card
from components.evaluate.evaluation import Evaluation
from components.evaluate.step import evaluate


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
        extra_gates: further bounds, see `core.gates.parse_bounds`.
        reason: why this run was started, for the registry.
        profile: the data profile, to be kept with the run.
        say: told of each stage.
    """
    version = registry.aliased(usecase.name, CHAMPION)
    champion = registry.bundle(version) if version else None
    say(f"champion: {f'version {version.version}' if version else 'none yet'}")
    found = evaluate(usecase, bundle, test, champion=champion, extra_gates=extra_gates, say=say)
    card = model_card(found, bundle, usecase)
    write_text(outputs.card, card.html)
    write_text(outputs.card_markdown, card.markdown)
    write_text(outputs.evaluation, found.to_json())
    write_text(outputs.verdict, found.verdict.to_json())
    with tempfile.TemporaryDirectory() as folder:
        _collect(Path(folder), card, outputs, profile)
        metrics = {name: figure.value for name, figure in found.metrics.items()}
        challenger = registry.register(bundle, found.verdict, metrics, Path(folder), reason=reason)
    say(f"registered as version {challenger.version}: {registry.place(challenger)}")
    return found


def _collect(folder: Path, card: Card, outputs: Outputs, profile: Path | None) -> None:
    """The reports of the run, as the registry keeps them."""
    for name, content in card.plots.items():
        (folder / f"{name}.png").write_bytes(content)
    shutil.copyfile(outputs.card, folder / "model-card.html")
    shutil.copyfile(outputs.card_markdown, folder / "model-card.md")
    shutil.copyfile(outputs.evaluation, folder / "evaluation.json")
    shutil.copyfile(outputs.verdict, folder / "verdict.json")
    if profile is not None:
        shutil.copyfile(profile, folder / "data-profile.html")
