"""The model card: one page for those who decide, as HTML complete in itself and as Markdown."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import jinja2
from markupsafe import Markup

from lifeboat.evaluate.card_text import card_content
from lifeboat.evaluate.evaluation import Evaluation
from lifeboat.evaluate.plots import draw_slices, png
from lifeboat.evaluate.reports.report import report_of
from lifeboat.model.bundle import Bundle
from lifeboat.system.markup import markdown_text
from lifeboat.usecase.usecase import UseCase


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


def model_card(evaluation: Evaluation, bundle: Bundle, usecase: UseCase) -> Card:
    """Renders the card of a bundle.

    Args:
        evaluation: of this bundle.
        bundle: its schema and manifest are shown.
        usecase: its title says what the model is for.
    """
    report = report_of(usecase.task)
    figures = report.plots(evaluation.details, evaluation.metrics)
    by = usecase.task.metric(usecase.task.of_slices[0])
    if any(by.name in part.metrics for part in evaluation.slices):
        figures["slices"] = draw_slices(evaluation, by)
    plots = {name: png(figure) for name, figure in figures.items()}
    content = card_content(evaluation, bundle, usecase)
    images = {name: base64.b64encode(image).decode() for name, image in plots.items()}
    page = _environment().get_template("card.html.j2").render(content, images=images)
    text = _environment(markdown=True).get_template("card.md.j2").render(content, images=images)
    return Card(page, text, plots)


def _environment(*, markdown: bool = False) -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("lifeboat.evaluate"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=escape_markdown if markdown else None,
    )


def escape_markdown(value: object) -> Markup:
    """See `markdown_text`; autoescaping leaves it as it is."""
    return Markup(markdown_text(value))  # noqa: S704
