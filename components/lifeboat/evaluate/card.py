"""The model card: one page for those who decide, as HTML complete in itself and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from lifeboat.evaluate.card_explanation import CONTRIBUTIONS, DEPENDENCE, IMPORTANCE, explanation_figures
from lifeboat.evaluate.card_text import card_content
from lifeboat.evaluate.evaluation import Evaluation
from lifeboat.evaluate.plots import draw_slices
from lifeboat.evaluate.rendering import Plot, render
from lifeboat.evaluate.reports.report import report_of
from lifeboat.model.bundle import Bundle
from lifeboat.system.markup import markdown_text
from lifeboat.system.pages.templates import page_templates
from lifeboat.usecase.usecase import UseCase

SLICES = "slices"


@dataclass(frozen=True)
class Card:
    """The model card; the Markdown refers to each plot as NAME.png beside it.

    Args:
        html: complete in itself.
        markdown: the same content.
        plots: name to PNG.
    """

    html: str
    markdown: str
    plots: dict[str, bytes]


def card_plots(evaluation: Evaluation, usecase: UseCase) -> dict[str, Plot]:
    """The plots of a card, in their order, by names that are those of files; drawing them takes the time of a card."""
    task, report = usecase.task, report_of(usecase.task)
    figures = explanation_figures(evaluation.explanation, task, report)
    drawn = report.plots(evaluation.details, evaluation.metrics)
    figures |= {name: (report.titles[name], figure) for name, figure in drawn.items()}
    by = task.metric(task.of_slices[0])
    if any(by.name in part.metrics for part in evaluation.slices):
        figures[SLICES] = (f"{by.title} by slice", draw_slices(evaluation, by))
    return {name: render(name, title, figure) for name, (title, figure) in figures.items()}


def model_card(
    evaluation: Evaluation, bundle: Bundle, usecase: UseCase, *, plots: Mapping[str, Plot] | None = None,
    version: str = "",
) -> Card:  # fmt: skip
    """Renders the card of a bundle.

    Args:
        evaluation: of this bundle.
        bundle: its schema and manifest are shown.
        usecase: its title says what the model is for.
        plots: of `card_plots`; drawn unless given.
        version: of the model in the registry, where it is known.
    """
    plots = card_plots(evaluation, usecase) if plots is None else plots
    content = card_content(evaluation, bundle, usecase, version) | {"plots": plots}
    content |= {name: {key: plots[key] for key in keys} for name, keys in _sections(plots).items()}
    templates = page_templates("lifeboat.evaluate")
    page = templates.get_template("card.html.j2").render(content)
    text = templates.overlay(finalize=escape_markdown).get_template("card.md.j2").render(content)
    return Card(page, text, {name: plot.png for name, plot in plots.items()})


def _sections(plots: Mapping[str, Plot]) -> dict[str, list[str]]:
    """Names of the plots of each section."""
    columns = [name for name in plots if name in (IMPORTANCE, CONTRIBUTIONS)]
    dependence = [name for name in plots if name.startswith(DEPENDENCE)]
    others = [name for name in plots if name not in (*columns, *dependence, SLICES)]
    return {"column_plots": columns, "dependence_plots": dependence, "behaviour_plots": others}


def escape_markdown(value: object) -> Markup:
    """See `markdown_text`; autoescaping leaves it as it is."""
    return Markup(markdown_text(value))  # noqa: S704
