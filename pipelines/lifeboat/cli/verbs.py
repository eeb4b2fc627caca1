"""Every verb of the command line, its flags and its help."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path

from lifeboat.cli.arguments import add_as_of, add_bounds, add_moment, add_pipeline_arguments, add_table
from lifeboat.cli.known import resolve
from lifeboat.config.errors import LifeboatError
from lifeboat.config.settings import Settings, installed_version, read_settings, variable
from lifeboat.config.tokens import RIGHTS
from lifeboat.system.markup import terminal_text
from lifeboat.trigger.settings import add_flags as add_trigger_flags

# Of a folder without a project.
EXAMPLE = "titanic"
DESCRIPTION = """\
Prepare, train, judge, register and ship models of tabular data.

  lifeboat init NAME --data FILE     a repository of your own, from a table
  lifeboat check                     all that would stop a run, with what to do about it
  lifeboat run                       the whole way, from the table to a live endpoint
  lifeboat status                    what serves, and where the state is
  lifeboat ui                        the page of all that, which leads to every other page
  lifeboat predict Sex=female Pclass=1 Name="Doe, Mrs. Jane" SibSp=0 Parch=0
  lifeboat explain Sex=female Pclass=1 Name="Doe, Mrs. Jane" SibSp=0 Parch=0
  lifeboat score passengers.csv scored.parquet
  lifeboat features                  what labelled rows there are
  lifeboat forget --entity ID        take somebody's rows out of what is kept
  lifeboat retain                    what is kept of rows, since when and for how long
  lifeboat token create NAME --may predict
                                     who may ask the servers, where others reach them
  lifeboat rollback                  put the previous champion back
  lifeboat promote 3 --because "..." ship a version that its gate refused
  lifeboat serve                     bring back what is deployed, without a training, and keep it running
  lifeboat stop                      end the model servers and the drift detector
"""

FORGET = """\
Exits with 3 where the drift detector has not confirmed it. The record names nobody: it has a keyed hash of the id.
"""
SERVE = """\
In the foreground it prints the logs, each line with the name of its service, and ends all of it on Ctrl-C or SIGTERM:
the model servers first, drained, then the drift detector. What runs in the background already, after lifeboat run, is
watched from the foreground from then on, and ends with it. A service that ends by itself is started again, after a
pause that grows up to 30 s while it does not live long.
"""


def call(arguments: Sequence[str] | None) -> int:
    """Runs one verb and gives the exit code: 0 done, 1 failed with a sentence, 2 wrong usage."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        settings = _with_flags(read_settings(), options)
        settings = replace(settings, usecase=resolve(settings.usecase or EXAMPLE, settings))
        _fill_in(options, settings)
        # The steps are processes of their own; they read the same settings from the environment.
        os.environ.update(settings.environment())
        return int(options.verb(options, settings) or 0)
    except LifeboatError as error:
        return _fail(str(error))
    except BrokenPipeError:  # the reader of our output is gone, as with `lifeboat status | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # a full disk, a missing right: at a place that has no sentence of its own
        return _fail(f"{error.filename or 'the system'}: {error.strerror or error}")


def _fill_in(options: argparse.Namespace, settings: Settings) -> None:
    """What no flag says is what the settings say; and the use case means the same in any folder and process."""
    if getattr(options, "of_usecase", False):
        options.usecase = settings.usecase
    elif getattr(options, "usecase", None) is not None:
        options.usecase = resolve(options.usecase, settings)
    for name in ("image", "require"):
        if getattr(options, name, "given") in (None, ""):
            setattr(options, name, getattr(settings, name))


def _fail(sentence: str) -> int:
    print(f"lifeboat: {terminal_text(sentence)}", file=sys.stderr)
    return 1


def build_parser() -> argparse.ArgumentParser:
    """The parser of all verbs."""
    parser = argparse.ArgumentParser(
        prog="lifeboat",
        description=DESCRIPTION,
        epilog=_settings_table(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"lifeboat {installed_version()}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    _add_init(verbs)
    _add_run(verbs)
    _add_serving(verbs)
    _add_champion(verbs)
    _add_scoring(verbs)
    _add_features(verbs)
    _add_personal(verbs)
    _add_token(verbs)
    _add_kubeflow(verbs)
    _add_retraining(verbs)
    _add_loop(verbs)
    return parser


def _add_init(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    init = _verb(verbs, "init", "init", "write a repository of your own, from a table")
    init.add_argument("name", metavar="NAME", help="of the use case: lower case letters, digits, hyphens")
    init.add_argument("--data", metavar="FILE", help="the labelled table, CSV or Parquet (default: an example's)")
    init.add_argument("--label", metavar="COLUMN", help="what is to be predicted (default: asked)")
    init.add_argument("--positive", metavar="VALUE", help="the class whose probability is asked for (default: asked)")
    init.add_argument("--id", metavar="COLUMN", help="which column names a row, '' for none (default: asked)")
    text = "a column that nobody is to look at; may be given again (default: none)"
    init.add_argument("--leave-out", metavar="COLUMN", action="append", help=text)
    init.add_argument("--title", help="one line for people (default: from label and table)")
    init.add_argument("--folder", help="where to write it (default: NAME in this folder)")
    init.add_argument("--yes", action="store_true", help="take every guess (default: ask)")


def _add_run(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    check = _verb(verbs, "check", "check", "say all that would stop a run, at once, with what to do about it")
    _usecase(check)
    add_table(check)
    add_bounds(check)
    _ports(check)
    run = _verb(verbs, "run", "run", "prepare, train, judge, and ship what passes its gate")
    _usecase(run)
    add_pipeline_arguments(run)
    run.add_argument(
        "--require-deploy",
        action="store_true",
        help="exit with 3 unless the new model was deployed (default: 0 then too)",
    )
    text = "where to write what came of it, as JSON: figures, verdict, deployment; or the error (default: nowhere)"
    run.add_argument("--result", metavar="FILE", type=Path, help=text)
    _ports(run)
    run.add_argument("--verbose", action="store_true", help="show each step's full output as well (default: its notes)")


def _add_serving(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    _verb(verbs, "serving", "status", "say what serves, and where the state and the registry are")
    page = _verb(
        verbs, "ui", "ui", "serve the home's page: what serves, how it does, runs, versions; it changes nothing"
    )
    _setting_flag(page, "--ui-port", "ui_port")
    _setting_flag(page, "--ui-host", "ui_host")
    serve = _verb(verbs, "serve", "serve", "bring back what is deployed, without a training, and keep it running")
    serve.epilog = SERVE
    serve.formatter_class = argparse.RawDescriptionHelpFormatter
    serve.add_argument("--usecase", help="only the model server of this use case (default: all that were deployed)")
    text = "return once all serves, and keep it from the background, as lifeboat run does (default: in the foreground)"
    way = serve.add_mutually_exclusive_group()
    way.add_argument("--detach", action="store_true", help=text)
    text = "write a systemd user unit that does this after a reboot, and say how to enable it (default: serve now)"
    way.add_argument("--install", action="store_true", help=text)
    way.add_argument("--uninstall", action="store_true", help="remove that unit (default: serve now)")
    _ports(serve)
    stop = _verb(verbs, "serving", "stop", "drain and end what serves, which then stays stopped")
    stop.add_argument("--usecase", help="only that of this use case (default: all)")


def _add_champion(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    back = _verb(verbs, "champion", "rollback", "put an earlier champion back: traffic first, then the alias")
    text = "number of a version that was the champion (default: the one before the present; each rollback goes further)"
    back.add_argument("--to", metavar="VERSION", type=_version, help=text)
    promoted = _verb(verbs, "champion", "promote", "ship a version whatever its gate said, on record with your reason")
    promoted.add_argument("version", metavar="VERSION", type=_version, help="its number in the registry")
    text = "why, in up to 500 characters; stands in the registry and on the model card (default: none, it is needed)"
    promoted.add_argument("--because", metavar="TEXT", required=True, help=text)
    for parser in (back, promoted):
        _usecase(parser)
        text = "where the model is served: local or kubernetes (default: local)"
        parser.add_argument("--target", choices=("local", "kubernetes"), default="local", help=text)
        _ports(parser)


def _columns(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _add_scoring(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    predict = _verb(verbs, "predict", "predict", "ask the live endpoint for one row")
    predict.add_argument("values", nargs="*", metavar="COLUMN=VALUE", help="the row; a column left out is null")
    predict.add_argument(
        "--json", help="the row as a JSON object instead; - reads it from standard input (default: none)"
    )
    predict.add_argument("--url", help="of a model server elsewhere (default: the local one)")
    _usecase(predict)
    explain = _verb(verbs, "predict", "explain", "show what each column adds to the answer to one row")
    explain.add_argument("values", nargs="*", metavar="COLUMN=VALUE", help="the row; a column left out is null")
    explain.add_argument(
        "--json", help="the row as a JSON object instead; - reads it from standard input (default: none)"
    )
    text = "a number of the answer, such as probability_survived; may be repeated (default: the one that counts)"
    explain.add_argument("--output", action="append", metavar="NAME", help=text)
    text = "columns that count as one, such as SibSp,Parch; may be repeated (default: as the use case says)"
    explain.add_argument("--group", action="append", metavar="COLUMN,COLUMN", type=_columns, help=text)
    explain.add_argument("--as-json", action="store_true", help="as JSON (default: as bars)")
    explain.add_argument("--bundle", help="a bundle's directory (default: the champion's)")
    explain.add_argument("--url", help="an endpoint, whose explainer is asked instead (default: none)")
    _usecase(explain)
    score = _verb(verbs, "predict", "score", "score a file of rows with the champion, in batches")
    score.add_argument("source", metavar="IN", help="a CSV or Parquet file")
    score.add_argument("target", metavar="OUT", help="a .csv or .parquet file; written whole or not at all")
    text = "a row that breaks the schema ends it, or goes to NAME.rejected.csv beside OUT NAME.parquet (default: fail)"
    score.add_argument("--on-error", choices=("fail", "skip"), default="fail", help=text)
    score.add_argument("--bundle", help="a bundle's directory (default: the champion's)")
    _usecase(score)


def _add_features(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    shown = _verb(verbs, "features", "features", "say what labelled rows there are: rows whose truth is known")
    _usecase(shown)
    add_as_of(shown, "--as-of", "--until")
    shown.add_argument("--json", action="store_true", help="as JSON, with every day (default: for people)")
    parts = shown.add_subparsers(
        title="more", metavar="[WORD]", help="the rows as a file, whose word teaches, whose holds"
    )
    file = _verb(parts, "features", "export", "write the labelled rows to a file")
    file.add_argument("target", metavar="FILE", help="a .csv or .parquet file; written whole or not at all")
    _usecase(file)
    # Without a default of its own: it would take the place of what stands before the word export.
    add_as_of(file, "--as-of", "--until", default=argparse.SUPPRESS)
    _add_trust(parts)


def _add_trust(parts: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    because = "why, in up to 500 characters, for the record (default: none)"
    for word, text in (
        ("accept", "let a source's rows teach: those there are, not those still to come"),
        ("reject", "take a source's rows out of every later run, those still to come as well"),
    ):
        ruling = _verb(parts, "trust", word, text)
        ruling.add_argument("--source", metavar="NAME", required=True, help="whose word the truths are")
        add_moment(ruling, "--since", "rows whose truth came from then on (default: all)")
        ruling.add_argument("--because", metavar="TEXT", default="", help=because)
        _usecase(ruling)
    conflicts = _verb(parts, "trust", "conflicts", "show or settle truths that contradict the table or one another")
    conflicts.add_argument("--settle", metavar="ROW", default="", help="a row as it is shown, or all (default: show)")
    conflicts.add_argument("--keep", metavar="WHO", default="", help="whose word holds: table, or a source's name")
    conflicts.add_argument("--because", metavar="TEXT", default="", help=because)
    conflicts.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="as JSON, all of them")
    add_table(conflicts)
    _usecase(conflicts)


def _add_personal(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    gone = _verb(verbs, "forget", "forget", "take somebody's rows out of what is kept, and say where they still are")
    gone.epilog = FORGET
    text = "the id of the rows, as the table has it (default: none, it is needed)"
    gone.add_argument("--entity", metavar="ID", required=True, help=text)
    gone.add_argument(
        "--because", metavar="TEXT", default="", help="why, in up to 500 characters, for the record (default: none)"
    )
    text = "seconds that the drift detector has to confirm it (default: 60)"
    gone.add_argument("--patience", type=float, default=60.0, metavar="SECONDS", help=text)
    add_table(gone)
    _usecase(gone)
    kept = _verb(
        verbs, "retention", "retain", "say what is kept of rows, since when, and remove what is too old", "retention"
    )
    for name in ("keep_labelled_days", "keep_quarantine_days", "keep_runs_days"):
        _setting_flag(kept, f"--{name.replace('_', '-')}", name, _days)
    kept.add_argument("--apply", action="store_true", help="remove what is too old (default: say what is due)")
    kept.add_argument("--json", action="store_true", help="as JSON (default: for people)")


def _add_token(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    tokens = verbs.add_parser("token", help="who may ask the servers", description="Who may ask the servers.")
    parts = tokens.add_subparsers(
        title="words", metavar="WORD", required=True, help="make one, say which there are, end those of a name"
    )
    made = _verb(parts, "token", "create", "make a token and print it, this once: only its hash is kept")
    made.add_argument("name", metavar="NAME", help="of who asks by it; its truths have that source")
    text = f"what it may, with commas between: {', '.join(RIGHTS)} (default: none, it is needed)"
    made.add_argument("--may", metavar="RIGHTS", required=True, help=text)
    made.add_argument(
        "--days", type=_count, default=0, metavar="N", help="days until it ends (default: when it is revoked)"
    )
    for flag, text in (
        ("--requests", "requests in a minute at most"),
        ("--rows", "rows that it may have predicted in a minute at most"),
        ("--truths", "truths that it may send in an hour at most"),
    ):
        made.add_argument(flag, type=_count, default=0, metavar="N", help=f"{text} (default: as the server is set)")
    shown = _verb(parts, "token", "list", "say whose tokens there are, what they may and until when", "list_")
    shown.add_argument("--json", action="store_true", help="as JSON (default: for people)")
    ended = _verb(parts, "token", "revoke", "end the tokens of a name, at once")
    ended.add_argument("name", metavar="NAME", help="as create was told it")
    text = "but for its newest, after a client has taken that (default: all)"
    ended.add_argument("--keep-newest", action="store_true", help=text)
    for part in (made, shown, ended):
        text = "the file of tokens, such as one for a Secret of a cluster (default: that of this home)"
        part.add_argument("--file", metavar="FILE", help=text)


def _add_kubeflow(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    _verb(verbs, "kubeflow", "usecases", "list the use cases")
    compile_ = _verb(verbs, "kubeflow", "compile", "write the pipeline's YAML for Kubeflow Pipelines")
    compile_.add_argument("target", metavar="OUT", nargs="?", default="pipeline.yaml", help="default: pipeline.yaml")
    _image(compile_)
    submit = _verb(verbs, "kubeflow", "submit", "start the pipeline on Kubeflow")
    _usecase(submit)
    add_pipeline_arguments(submit)
    _image(submit)
    _setting_flag(submit, "--host", "kfp_host")
    _setting_flag(submit, "--token-file", "kfp_token_file")
    _setting_flag(submit, "--namespace", "kfp_namespace")
    text = "where the deploy step ships to (default: kubernetes)"
    submit.add_argument("--target", choices=("local", "kubernetes"), default="kubernetes", help=text)
    cron = (
        "start it again and again: minute, hour, day, month, weekday in UTC, such as '0 4 * * 1' (default: once, now)"
    )
    submit.add_argument("--cron", help=cron)
    submit.add_argument("--name", help="of the recurring run, which takes another's place (default: lifeboat USECASE)")


def _add_retraining(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    add_trigger_flags(_verb(verbs, "retrain", "trigger", "take alerts and start the pipeline, never too often"))
    retrain = _verb(verbs, "retrain", "retrain", "ask the trigger to start the pipeline")
    retrain.add_argument("--reason", default="manual", help="kept in the registry (default: manual)")
    retrain.add_argument("--now", action="store_true", help="without the cool-down (default: after it)")
    retrain.add_argument("--url", help="of the trigger (default: the one that runs in this home)")
    retrain.add_argument("--token-file", help="file of its bearer token (default: that one's)")


def _add_loop(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "drift, alert, retraining, gate and rollout in front of one's eyes, in a home of its own"
    loop = _verb(verbs, "loop", "loop", text)
    _usecase(loop)
    loop.add_argument("--rate", type=float, default=100.0, help="requests a second (default: 100)")
    loop.add_argument("--calm", type=int, default=2, help="windows without an alarm at each end (default: 2)")
    loop.add_argument("--patience", type=float, default=120.0, help="seconds for each part of it (default: 120)")


def _verb(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], module: str, name: str, text: str, function: str = ""
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")

    def run(options: argparse.Namespace, settings: Settings) -> int:
        # Imported when called: no verb pays for another's libraries.
        action: Callable[[argparse.Namespace, Settings], int] = getattr(
            importlib.import_module(f"lifeboat.cli.{module}"), function or name
        )
        return action(options, settings)

    parser.set_defaults(verb=run)
    _setting_flag(parser, "--home", "home")
    return parser


def _usecase(parser: argparse.ArgumentParser) -> None:
    _setting_flag(parser, "--usecase", "usecase")
    parser.set_defaults(of_usecase=True)


def _image(parser: argparse.ArgumentParser) -> None:
    _setting_flag(parser, "--image", "image")
    parser.set_defaults(image=None)


def _ports(parser: argparse.ArgumentParser) -> None:
    _setting_flag(parser, "--port", "port")
    _setting_flag(parser, "--metrics-port", "metrics_port")
    _setting_flag(parser, "--grpc-port", "grpc_port")
    _setting_flag(parser, "--detector-port", "detector_port")
    _setting_flag(parser, "--explainer-port", "explainer_port")
    _setting_flag(parser, "--ui-port", "ui_port")


def _setting_flag(
    parser: argparse.ArgumentParser, flag: str, name: str, kind: Callable[[str], int] | None = None
) -> None:
    spec = next(spec for spec in fields(Settings) if spec.name == name)
    text = f"{spec.metadata['help']} (default: {spec.default or 'none'}; or {variable(name)})"
    read = kind or (_port if isinstance(spec.default, int) else str)
    parser.add_argument(flag, dest=f"setting_{name}", default=argparse.SUPPRESS, help=text, type=read)


def _port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no port, 1 to 65535")
    return int(text)


def _days(text: str) -> int:
    return 0 if text == "0" else _count(text)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def _version(text: str) -> str:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of a version, such as 3")
    return str(int(text))


def _with_flags(settings: Settings, options: argparse.Namespace) -> Settings:
    flags = {name.removeprefix("setting_"): value for name, value in vars(options).items()
             if name.startswith("setting_")}  # fmt: skip
    return replace(settings, **flags).resolved()


def _settings_table() -> str:
    rows = [
        f"  {variable(spec.name):24} {spec.metadata['help']} (default: {spec.default or 'none'})"
        for spec in fields(Settings)
    ]
    return "\n".join(["settings, from the environment:", *rows])
