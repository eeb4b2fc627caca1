"""A run's texts are text: what kfp, Kubeflow or Argo would fill in is refused, all else arrives as it was given.

Annotations are no strings here: kfp reads them.
"""

import argparse
import json
from pathlib import Path

import pytest
from kfp import dsl, local

from lifeboat.cli.arguments import add_pipeline_arguments, pipeline_arguments
from lifeboat.config.errors import GateError, SettingsError
from lifeboat.config.placeholders import check_text, plain_text, plain_values
from lifeboat.pipeline.local_run import RunLog
from lifeboat.pipeline.steps.execution import StepCommand
from lifeboat.pipeline.steps.fork_server import ForkServer
from lifeboat.pipeline.steps.handler import steps_run_by
from lifeboat.preprocess.component import preprocess

PLACEHOLDERS = (
    'drift {{$.inputs.parameters["seed"]}} seen', "{{$}}", "{{$.pipeline_job_name}}", "{{workflow.name}}",
    "{{=1+1}}", "{{{", "at [[ScheduledTime]]", "[[CurrentTime.2006-01-02]]", "[[RunUUID]]", "[[Index]]",
    "/kfp-workspace/rows.csv",
)  # fmt: skip
TEXTS = (
    "manual", "", "it's \"so\"", "$(id) `id` $HOME", "100 %s %", "two\nlines", "{ {$}}", "}}{", "[[1, 2], [3, 4]]",
    "{$.inputs}", '{"Concat": ["a"]}', '{"IfPresent": 1}', "Größe \u2028", "\\n", "7", "true", "null",
)  # fmt: skip


@dsl.component(base_image="any/python", install_kfp_package=False)
def echo(text: str) -> str:
    return text


@dsl.pipeline(name="echoing")
def echoing(text: str) -> None:
    echo(text=text)


def arguments(*flags: str) -> dict[str, object]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--usecase", default="titanic")
    add_pipeline_arguments(parser)
    return pipeline_arguments(parser.parse_args(flags), "local")


@pytest.mark.parametrize("text", PLACEHOLDERS)
@pytest.mark.parametrize("flag", ["--usecase", "--data", "--reason", "--require"])
def test_a_placeholder_in_any_text_of_a_run_is_refused_with_its_flag(flag: str, text: str) -> None:
    with pytest.raises((SettingsError, GateError), match=rf"^{flag} holds .*: put a space into it") as caught:
        arguments(f"{flag}={text}")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("text", TEXTS)
def test_every_other_text_is_taken_as_it_is(text: str) -> None:
    assert arguments(f"--reason={text}")["reason"] == text


def test_what_is_taken_comes_out_of_kfp_unchanged(tmp_path: Path) -> None:
    with ForkServer([]) as server:
        for number, text in enumerate(TEXTS):
            root = tmp_path / str(number)
            root.mkdir()
            local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=str(root), raise_on_error=True)
            with (root / "log").open("w", encoding="utf-8") as file:
                log = RunLog(file, lambda _: None)
                with steps_run_by(lambda command, log=log: log.run_step(server, command)):
                    echoing(text=text)
            [answer] = root.glob("*/echo/executor_output.json")
            assert json.loads(answer.read_text())["parameterValues"]["Output"] == text


@pytest.mark.parametrize("text", PLACEHOLDERS)
def test_words_of_others_keep_their_letters_and_are_no_placeholder(text: str) -> None:
    plain = plain_text(text)
    check_text("reason", plain)
    assert plain.replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("text", TEXTS)
def test_words_of_others_without_one_are_left_alone(text: str) -> None:
    assert plain_text(text) == text


def test_a_tables_path_in_an_artifacts_metadata_is_no_placeholder(tmp_path: Path) -> None:
    """The metadata is a part of the next step's input; a use case's table may lie anywhere."""
    table = tmp_path / "{{$}}" / "train.csv"
    table.parent.mkdir()
    table.write_bytes(Path("components/lifeboat/usecases/titanic/data/train.csv").read_bytes())
    names = ("train_rows", "test_rows", "quarantine", "profile")
    kinds = {"profile": "system.HTML"}
    artifacts = {
        name: {"artifacts": [{
            "name": name, "uri": str(tmp_path / name), "metadata": {},
            "type": {"schemaTitle": kinds.get(name, "system.Dataset"), "schemaVersion": "0.0.1"},
        }]}
        for name in names
    }  # fmt: skip
    output = tmp_path / "executor_output.json"
    document = {
        "inputs": {"parameterValues": {"usecase": "titanic", "data": str(table), "labelled": False}},
        "outputs": {"artifacts": artifacts, "outputFile": str(output)},
    }
    given = ("--executor_input", json.dumps(document), "--function_to_execute", "preprocess")
    container = preprocess.component_spec.implementation.container
    command = StepCommand.parse([*container.command, *given], {})
    lines = list[str]()
    with ForkServer([]) as server:
        assert server.run(command, lines.append) == 0, lines
    [artifact] = json.loads(output.read_text())["artifacts"]["train_rows"]["artifacts"]
    assert artifact["metadata"]["source"] == plain_text(str(table)) != str(table)


def test_every_text_of_metadata_is_made_plain_and_nothing_else() -> None:
    found = plain_values({"rows": 3, "share": 0.5, "refused": {"{{a}}": "[[Index]]"}, "none": None})
    assert found == {"rows": 3, "share": 0.5, "refused": {"{ {a}}": "[ [Index]]"}, "none": None}
