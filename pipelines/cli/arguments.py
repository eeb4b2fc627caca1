"""The flags that become the pipeline's arguments, for every verb that starts it."""

from __future__ import annotations

import argparse
from typing import Any

from components.core.gates import parse_bounds


def add_pipeline_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what `pipeline_arguments` reads, but for the use case, which other verbs take as well."""
    parser.add_argument("--data", default="", help="path or s3:// URL of the labelled table (default: the use case's)")
    parser.add_argument(
        "--no-labelled",
        dest="labelled",
        action="store_false",
        help="leave out the labelled rows that came back from serving (default: they are taken as well)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    bounds = "further gates, such as 'roc_auc>=0.9,log_loss<=0.4'; they add to the use case's own (default: none)"
    parser.add_argument("--require", default="", metavar="BOUNDS", help=bounds)
    parser.add_argument(
        "--reason", default="manual", help="why this run is started; kept in the registry (default: manual)"
    )


def pipeline_arguments(options: argparse.Namespace, target: str) -> dict[str, Any]:
    """The arguments of `pipelines.pipeline.pipeline`.

    Args:
        options: of a parser with a use case and these flags.
        target: where the deploy step ships to.

    Raises:
        GateError: a bound is mistyped, which should not cost a training first.
    """
    parse_bounds(options.require)
    return {
        "usecase": options.usecase,
        "data": options.data,
        "seed": options.seed,
        "extra_gates": options.require,
        "target": target,
        "reason": options.reason,
        "labelled": options.labelled,
    }
