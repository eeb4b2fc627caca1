"""`lifeboat run` from the table to the live endpoint, of another table and where something is wrong.

The tests of a class tell one story in order and share its home: each run takes as long as a run takes.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.pipeline.laptop import ROOT, Laptop
from tests.server.world import call
from tests.usecases import breast_cancer

TITANIC = ROOT / "components" / "lifeboat" / "usecases" / "titanic" / "data"


class TestAnotherUseCase:
    """Nothing but the use case's folder knows about ships."""

    def test_a_table_of_numbers_goes_the_whole_way(self, laptop: Laptop, tmp_path: Path) -> None:
        data = breast_cancer.write_data(tmp_path / "masses.parquet")
        said = laptop.lifeboat(
            "run", "--usecase", "tests.usecases.breast_cancer", "--data", str(data), "--require-deploy"
        )
        assert "Deployed breast-cancer version 1" in said
        body = {"jsonData": dict.fromkeys(breast_cancer.NAMES, 1.0)}
        answer = call(f"http://127.0.0.1:{laptop.settings.port}/api/v1.0/predictions", body)
        assert answer.status == 200
        assert answer.json["meta"]["tags"]["model_name"] == "breast-cancer"


class TestTrouble:
    """One clear sentence, exit code 1, and nothing half-done."""

    def test_bad_input_ends_the_run_with_the_steps_own_sentence(self, laptop: Laptop, tmp_path: Path) -> None:
        table = tmp_path / "bad.csv"
        lines = (TITANIC / "train.csv").read_text().splitlines()[:40]
        table.write_text("\n".join(line.replace(",male,", ",mael,") for line in lines) + "\n")
        said = laptop.lifeboat("run", "--data", str(table), code=1)
        sentence = r'column Sex: 21 of 39 rows, the first in row 1: "mael" is none of female, male; declare categories='
        assert re.search(sentence, said)
        assert "21 of 39 rows (53.8%) break the schema" in said
        assert "Traceback" not in said
        assert not (laptop.home / "runs").exists()

    def test_a_mistyped_bound_costs_no_training(self, laptop: Laptop) -> None:
        assert "is no bound" in laptop.lifeboat("run", "--require", "roc_auc>0.9", code=1)
        assert not (laptop.home / "runs").exists()

    def test_a_port_in_use_is_named_before_anything_is_trained(self, laptop: Laptop) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", laptop.settings.port))
            taken.listen()
            said = laptop.lifeboat("run", code=1)
        taken = rf"--port \(or LIFEBOAT_PORT\) is {laptop.settings.port}, which is taken by process {os.getpid()} "
        assert re.search(taken, said)
        assert "1. preprocess" not in said
        assert "Traceback" not in said

    def test_an_interrupt_leaves_nothing_half_done(self, laptop: Laptop) -> None:
        process = subprocess.Popen(
            laptop.command("run"), cwd=ROOT, env=laptop.environment, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "trial 2/9" in line:
                os.killpg(process.pid, signal.SIGINT)
                break
        said += process.stdout.read()
        assert process.wait(30) == 130, said
        assert "interrupted; what served before still serves" in said
        assert "Traceback" not in said
        assert not list(laptop.last_run.glob("*/train/bundle"))
        wait_until_gone(process.pid)


def wait_until_gone(group: int, seconds: float = 10.0) -> None:
    """No process of the group is left."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError(f"processes of group {group} are still there")
