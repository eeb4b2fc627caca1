"""The flags that become the pipeline's arguments, for every verb that starts it."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import Any

from lifeboat.config.errors import SettingsError
from lifeboat.config.placeholders import check_text
from lifeboat.config.seeds import LARGEST_SEED, check_seed
from lifeboat.data.timestamps import FORMS, format_timestamp, parse_timestamp
from lifeboat.registry.versions import one_line
from lifeboat.usecase.gates import parse_bounds


def add_pipeline_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what `pipeline_arguments` reads, but for the use case, which other verbs take as well."""
    add_table(parser)
    parser.add_argument(
        "--no-labelled",
        dest="labelled",
        action="store_false",
        help="leave out the labelled rows that came back from serving (default: they are taken as well)",
    )
    add_as_of(parser, "--as-of")
    text = f"of everything random, 0 to {LARGEST_SEED} (default: 0)"
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help=text)
    add_bounds(parser)
    text = "ship without a comparison with the champion, and why, on record (default: it is compared)"
    parser.add_argument("--begin-anew", default="", metavar="REASON", help=text)
    parser.add_argument(
        "--reason", default="manual", help="why this run is started; kept in the registry (default: manual)"
    )


def add_table(parser: argparse.ArgumentParser) -> None:
    """Adds the flag of the labelled table."""
    parser.add_argument(
        "--data",
        default="",
        help="where the labelled table is: a path or URL, a folder, a pattern (default: the use case's)",
    )


def add_bounds(parser: argparse.ArgumentParser) -> None:
    """Adds the flag of further gates."""
    text = (
        "further gates, such as 'roc_auc>=0.9,log_loss<=0.4'; they add to the use case's own (default: the settings')"
    )
    parser.add_argument("--require", default="", metavar="BOUNDS", help=text)


def add_as_of(parser: argparse.ArgumentParser, *flags: str, default: str | None = None) -> None:
    """Adds the flag of a moment in the past, a `datetime` in the options; None means now."""
    text = f"the labelled rows as they were known then: {FORMS} (default: now)"
    parser.add_argument(*flags, dest="as_of", metavar="MOMENT", type=_moment, default=default, help=text)


def add_moment(parser: argparse.ArgumentParser, flag: str, text: str) -> None:
    """Adds a flag that takes a moment in the past, a `datetime` in the options."""
    parser.add_argument(flag, metavar="MOMENT", type=_moment, default=None, help=f"{text}: {FORMS}")


def _seed(text: str) -> int:
    try:
        return check_seed(int(text) if text.lstrip("+-").isdecimal() else text)
    except SettingsError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _moment(text: str) -> datetime:
    try:
        return parse_timestamp(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def pipeline_arguments(options: argparse.Namespace, target: str) -> dict[str, Any]:
    """The arguments of `lifeboat.pipeline.dag.pipeline`.

    Args:
        options: of a parser with a use case and these flags.
        target: where the deploy step ships to.

    Raises:
        GateError: a bound is mistyped, which should not cost a training first.
        SettingsError: a moment, but of labelled rows that are left out; or a text that holds a placeholder.
    """
    texts = {"usecase": options.usecase, "data": options.data, "require": options.require, "reason": options.reason}
    begin_anew = one_line(options.begin_anew)
    texts["begin-anew"] = begin_anew
    for name, text in texts.items():
        check_text(f"--{name}", text)
    parse_bounds(options.require)
    if options.as_of and not options.labelled:
        raise SettingsError("--as-of is of the labelled rows, which --no-labelled leaves out: give one of the two")
    return {
        "usecase": options.usecase,
        "data": options.data,
        "seed": options.seed,
        "extra_gates": options.require,
        "target": target,
        "reason": options.reason,
        "labelled": options.labelled,
        "as_of": format_timestamp(options.as_of) if options.as_of else "",
        "begin_anew": begin_anew,
    }
