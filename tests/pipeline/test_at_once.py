"""Two first runs of a use case at once, in a new home: real ones, which both come to their deploy step."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifeboat.system.files import holding_lock
from tests.pipeline.laptop import ROOT, Laptop
from tests.server.world import call
from tests.services.kept import eventually
from tests.usecases import breast_cancer

NAME = "breast-cancer"
WAITS = f"another rollout of {NAME} is under way: waiting for its end"


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Laptop]:
    made = Laptop(tmp_path / "home")
    yield made
    made.lifeboat("stop")


def deploy_at_once(laptop: Laptop, *seeds: int) -> list[tuple[int, str]]:
    """Exit code and output of runs that all wait for their turn to deploy before the first one has it."""
    folder = laptop.home.parent
    data = breast_cancer.write_data(folder / "masses.parquet")
    logs = [folder / f"run-{number}" for number in range(len(seeds))]
    command = laptop.command("run", "--usecase", "tests.usecases.breast_cancer", "--data", str(data))
    with holding_lock(laptop.settings.serving_state(NAME) / "rollout.lock"):
        runs = []
        for seed, log in zip(seeds, logs, strict=True):
            with log.open("wb") as file:
                flags = [*command, "--seed", str(seed), "--require-deploy"]
                runs.append(subprocess.Popen(flags, cwd=ROOT, env=laptop.environment, stdout=file, stderr=file))
        eventually(
            lambda: all(WAITS in log.read_text() or run.poll() for run, log in zip(runs, logs, strict=True)), 240
        )
    return [(run.wait(120), log.read_text()) for run, log in zip(runs, logs, strict=True)]


@pytest.mark.slow
def test_a_model_judged_against_a_champion_of_the_past_is_not_shipped(laptop: Laptop) -> None:
    (code, won), (other, lost) = sorted(deploy_at_once(laptop, 0, 1))
    assert (code, other) == (0, 1), won + lost
    assert f"Deployed {NAME} version" in won
    assert f"the champion of {NAME} changed since this bundle was judged against none: run the pipeline again" in lost
    assert "Traceback" not in lost
    assert serving(laptop) in won


@pytest.mark.slow
def test_the_same_model_of_two_runs_is_deployed_once_and_both_end_well(laptop: Laptop) -> None:
    ends = deploy_at_once(laptop, 0, 0)
    said = [text for _, text in ends]
    assert [code for code, _ in ends] == [0, 0], said
    assert all(f"Deployed {NAME} version" in text for text in said)
    assert ["this bundle is the champion already" in text for text in said].count(True) == 1
    assert all(serving(laptop) in text for text in said)


def serving(laptop: Laptop) -> str:
    """The digest of what answers."""
    body = {"jsonData": dict.fromkeys(breast_cancer.NAMES, 1.0)}
    answer = call(f"http://127.0.0.1:{laptop.settings.port}/api/v1.0/predictions", body)
    return str(answer.json["meta"]["tags"]["bundle_digest"])
