"""Help that teaches, usage that is refused, and failures of one sentence."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from lifeboat.cli.verbs import build_parser
from lifeboat.config.settings import Settings, variable
from tests.cli.conftest import Lifeboat, Said

ROOT = Path(__file__).resolve().parents[2]
VERBS = ("init", "check", "run", "serve", "status", "stop", "ui", "rollback", "promote", "predict", "explain", "score",
         "features", "forget", "retain", "token", "usecases", "compile", "submit", "trigger", "retrain",
         "loop")  # fmt: skip


def parser_of(verb: str) -> argparse.ArgumentParser:
    [verbs] = [action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction)]
    assert set(verbs.choices) == set(VERBS)
    return verbs.choices[verb]


def test_the_programs_help_names_every_verb_and_setting_with_its_default(lifeboat: Lifeboat) -> None:
    said = lifeboat("--help")
    assert (said.code, said.errors) == (0, "")
    for verb in VERBS:
        assert re.search(rf"^ +{verb} +\w", said.output, re.MULTILINE), verb
    for spec in fields(Settings):
        assert spec.metadata["help"], spec.name
        line = rf"^  {variable(spec.name)} +{re.escape(spec.metadata['help'])} \(default: {spec.default or 'none'}\)$"
        assert re.search(line, said.output, re.MULTILINE), spec.name


@pytest.mark.parametrize("verb", VERBS)
def test_a_verbs_help_names_every_flag_with_its_default(lifeboat: Lifeboat, verb: str) -> None:
    said = lifeboat(verb, "--help")
    assert (said.code, said.errors) == (0, "")
    for action in parser_of(verb)._actions:
        if action.option_strings == ["-h", "--help"]:
            continue
        assert action.help, action
        name = action.option_strings[0] if action.option_strings else action.metavar
        assert str(name) in said.output
        if action.option_strings:
            assert "(default: " in action.help, action.option_strings
            if not action.dest.startswith("setting_") and isinstance(action.default, str) and action.default:
                assert f"(default: {action.default})" in action.help


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("fly",),
        ("run", "--fast"),
        ("run", "--seed", "seven"),
        ("run", "--seed", "-1"),
        ("submit", "--seed", "4294967296"),
        ("run", "--port", "70000"),
        ("run", "--port", "0"),
        ("run", "--metrics-port", "http"),
        ("score", "only-one.csv"),
        ("score", "a.csv", "b.csv", "--on-error", "ignore"),
        ("status", "titanic"),
        ("rollback", "--to", "zero"),
        ("rollback", "--to", "0"),
        ("promote", "3"),
        ("promote", "--because", "why not"),
        ("promote", "v3", "--because", "why not"),
        ("promote", "3", "--because", "why not", "--target", "moon"),
        ("run", "--as-of", "yesterday"),
        ("run", "--as-of", "9999-01-01"),
        ("submit", "--as-of", "2025-11-20T12:00:00"),
        ("submit", "--target", "moon"),
        ("features", "--until", ""),
        ("features", "export"),
        ("features", "export", "rows.csv", "--as-of", "9999-01-01"),
    ],
)
def test_wrong_usage_exits_with_2_and_names_the_fault(lifeboat: Lifeboat, arguments: tuple[str, ...]) -> None:
    said = lifeboat(*arguments)
    assert (said.code, said.output) == (2, "")
    assert re.search(r"^lifeboat[ \w]*: error: ", said.errors, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("run", "--usecase", "hindenburg"), "no use case 'hindenburg'; there are: flights, penguins, titanic"),
        (("run", "--require", "roc_auc>0.9"), "'roc_auc>0.9' is no bound; write for example roc_auc>=0.85 or"),
        (("submit", "--require", "roc_auc>0.9"), "'roc_auc>0.9' is no bound; write for example roc_auc>=0.85 or"),
        (("rollback", "--usecase", "hindenburg"), "no use case 'hindenburg'"),
        (("rollback", "--to", "3"), "titanic has no champion, so there is nothing to go back from"),
        (("promote", "3", "--usecase", "hindenburg", "--because", "why not"), "no use case 'hindenburg'"),
        (("promote", "3", "--because", " "), "a promotion by hand needs a reason, and that given is empty"),
        (("promote", "3", "--because", "x" * 501), "the reason has 501 characters, at most 500 are kept: shorten it"),
        (("promote", "3", "--because", "why not"), "titanic has no version 3; there are: none"),
        (("stop", "--usecase", "hindenburg"), "no use case 'hindenburg'"),
        (("predict", "--usecase", "hindenburg", "Age=3"), "no use case 'hindenburg'"),
        (("submit",), "no host: give --host URL or LIFEBOAT_KFP_HOST"),
        (("submit", "--cron", "0 4 * *"), "the cron expression '0 4 * *' has 4 fields, not the five minute, hour, day"),
        (("submit", "--name", "weekly"), "--name is of a recurring run: give --cron with it"),
        (
            ("submit", "--cron", "0 4 * * 1", "--as-of", "2025-11-20"),
            "--as-of would keep every run from what came since",
        ),
        (("submit", "--cron", "0 4 * * 1", "--begin-anew", "why not"), "--begin-anew is of one run: leave it out with"),
        (("run", "--begin-anew", "x" * 501), "the reason has 501 characters, at most 500 are kept: shorten it"),
        (
            ("run", "--no-labelled", "--as-of", "2025-11-20"),
            "--as-of is of the labelled rows, which --no-labelled leaves",
        ),
        (("features", "--usecase", "hindenburg"), "no use case 'hindenburg'; there are: flights, penguins, titanic"),
        (("features", "export", "rows.json"), "rows.json ends in neither .csv nor .parquet"),
        (("trigger", "--backend", "argo"), "LIFEBOAT_TRIGGER_BACKEND is 'argo', not local or kubeflow"),
        (("trigger", "--usecase", "hindenburg"), "no use case 'hindenburg'; there are: flights, penguins, titanic"),
        (("retrain",), "no trigger runs in "),
        (("score", "in.csv", "out.csv", "--bundle", "/nonexistent"), "/nonexistent is not a bundle"),
    ],
)
def test_a_failure_is_one_sentence_and_1(lifeboat: Lifeboat, arguments: tuple[str, ...], sentence: str) -> None:
    assert lifeboat(*arguments).sentence.startswith(sentence)


def test_a_home_that_cannot_be_written_is_one_sentence(lifeboat: Lifeboat, home: Path) -> None:
    home.write_text("a file, not a directory")
    sentence = lifeboat("run").sentence
    assert sentence.startswith(f"{home}/")
    assert "Not a directory" in sentence


def test_a_full_disk_is_one_sentence(lifeboat: Lifeboat, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(*_: object) -> None:
        raise OSError(28, "No space left on device", "run.log")

    monkeypatch.setattr("lifeboat.cli.kubeflow.list_usecases", fill)
    assert lifeboat("usecases").sentence == "run.log: No space left on device"


def test_ctrl_c_is_130_and_says_what_still_serves(lifeboat: Lifeboat, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lifeboat.cli.kubeflow.list_usecases", interrupt)
    said = lifeboat("usecases")
    assert (said.code, said.output) == (130, "")
    assert said.errors == "lifeboat: interrupted; what served before still serves\n"


def test_usecases_lists_each_with_its_title(lifeboat: Lifeboat) -> None:
    said = lifeboat("usecases")
    assert (said.code, said.errors) == (0, "")
    assert re.search(r"^titanic +Survival of a passenger of the RMS Titanic$", said.output, re.MULTILINE)


def test_compile_says_what_it_wrote(lifeboat: Lifeboat, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "pipeline.yaml"
    assert lifeboat("compile", str(target), "--image", "mine@sha256:1") == Said(0, f"wrote {target}\n", "")
    assert "mine@sha256:1" in target.read_text()


def test_a_flag_beats_the_environment_for_the_steps_as_well(
    lifeboat: Lifeboat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "LIFEBOAT_KFP_NAMESPACE", "theirs")
    monkeypatch.setitem(os.environ, "LIFEBOAT_PORT", "9100")
    found = {}

    def spy(options: object, settings: Settings) -> int:
        found.update(settings=settings, port=os.environ["LIFEBOAT_PORT"], home=os.environ["LIFEBOAT_HOME"])
        return 0

    monkeypatch.setattr("lifeboat.cli.champion.rollback", spy)
    assert lifeboat("rollback", "--port", "9000", "--home", str(tmp_path / "other")).code == 0
    assert (found["settings"].port, found["port"]) == (9000, "9000")
    assert found["settings"].kfp_namespace == "theirs"
    assert found["home"] == str(tmp_path / "other")


def test_the_program_reads_the_environment_and_leaves_no_traceback(home: Path) -> None:
    """As a process of its own, as a user starts it."""
    environment = {**os.environ, "LIFEBOAT_HOEM": "x"}
    done = subprocess.run(
        [sys.executable, "-m", "lifeboat.cli.main", "status"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("lifeboat: LIFEBOAT_HOEM is no setting; the settings are LIFEBOAT_CODE_COMMIT, ")
    assert done.stderr.count("\n") == 1


def test_a_reader_that_goes_away_is_no_traceback(home: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-u", "-m", "lifeboat.cli.main", "status"],
            cwd=ROOT, env=dict(os.environ), stdout=closed, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")


def test_what_an_error_cites_moves_no_cursor(lifeboat: Lifeboat) -> None:
    said = lifeboat("predict", "--url", "http://127.0.0.1:9/", "\x1b[2J\n=1")
    assert said.sentence.isprintable()
    assert "\\x1b[2J\\n" in said.sentence


def test_an_interruption_while_everything_is_loaded_is_the_usual_word(home: Path, tmp_path: Path) -> None:
    """As by Ctrl-C a moment after the start."""
    (tmp_path / "interrupted").mkdir()
    (tmp_path / "interrupted" / "sitecustomize.py").write_text(INTERRUPTED)
    done = subprocess.run(
        [sys.executable, "-m", "lifeboat.cli.main", "status"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(tmp_path / "interrupted")}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "lifeboat: interrupted; what served before still serves\n"


INTERRUPTED = """
import os, signal, sys

def interrupt(event, arguments):
    if event == "import" and arguments[0] == "argparse":
        os.kill(os.getpid(), signal.SIGINT)

sys.addaudithook(interrupt)
"""
IMPORTS = """
import sys
from lifeboat.cli.verbs import build_parser
build_parser()
print([name for name in ("kfp", "mlflow", "sklearn", "pandas", "onnx") if name in sys.modules])
"""


def test_help_loads_no_heavy_library() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTS], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
