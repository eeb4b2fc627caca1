"""What is deployed comes back by itself: `lifeboat serve`, the keeper, and every process killed, with real ones."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lifeboat.config.home_ports import HomePorts
from lifeboat.deploy.deployed import want
from lifeboat.deploy.local import LocalTarget
from lifeboat.services.detector import detector_service
from lifeboat.services.keeper.daemon import keeping_in_background
from lifeboat.system.addresses import server_of
from tests.pipeline.laptop import ROOT
from tests.ports import free_port
from tests.services.kept import MODEL, Foreground, Kept, eventually, tell
from tests.slow import first_of

# "Back within 5 s" and "answers within 3 s" are said of a machine with nothing else to do.
BACK, REBOOT = 5.0, 3.0
BUSY = 3.0


@pytest.fixture(autouse=True)
def _hangups_are_heard():
    """Whatever started these tests, such as nohup, may have had them ignored, which every child inherits."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Kept]:
    """Deployed, and nothing watches."""
    made = Kept(tmp_path / "home")
    made.deploy()
    yield made
    made.lifeboat("stop")


@pytest.fixture
def kept(laptop: Kept) -> Kept:
    """Kept from the background."""
    laptop.lifeboat("serve", "--detach")
    return laptop


@pytest.mark.parametrize("what", ["server", "supervisor", "detector"])
def test_what_is_killed_is_back_within_five_seconds_and_no_acknowledged_event_is_lost(kept: Kept, what: str) -> None:
    kept.predict(3)
    eventually(lambda: kept.counted() == 3)
    killed: int = getattr(kept, what)()
    os.kill(killed, signal.SIGKILL)
    assert eventually(lambda: kept.replaced(what, killed)) < BACK * BUSY
    kept.predict(2)
    eventually(lambda: kept.counted() == 5)
    eventually(lambda: what == "server" or sum(kept.restarts().values()) == 1)
    assert kept.serving().digest == kept.deployed.digest


def test_events_that_found_no_detector_reach_the_one_that_comes_back(kept: Kept) -> None:
    os.kill(kept.keeper.pid or 0, signal.SIGKILL)
    os.kill(kept.detector(), signal.SIGKILL)
    kept.predict(4)
    assert "keeper               stopped: what ends by itself stays so" in kept.lifeboat("status")
    assert "drift detector       ended by itself" in kept.lifeboat("status")
    kept.lifeboat("serve", "--detach")
    eventually(lambda: kept.counted() == 4)


def test_what_a_killed_keeper_kept_goes_on_and_serve_brings_the_keeper_back(kept: Kept) -> None:
    before = kept.supervisor(), kept.server(), kept.detector(), kept.keeper.pid
    os.kill(kept.keeper.pid or 0, signal.SIGKILL)
    eventually(lambda: not kept.keeper.is_running())
    assert kept.serves()
    kept.lifeboat("serve", "--detach")
    after = kept.supervisor(), kept.server(), kept.detector(), kept.keeper.pid
    assert after[:3] == before[:3]
    assert after[3] != before[3]
    os.kill(kept.supervisor(), signal.SIGKILL)
    eventually(lambda: kept.restarts() == {MODEL: 1})
    assert kept.serves()


def test_after_a_reboot_serve_answers_without_a_training(kept: Kept) -> None:
    kept.predict(3)
    eventually(lambda: kept.counted() == 3)
    kept.reboot()
    assert "ended by itself; lifeboat serve brings version 1 back at" in kept.lifeboat("status")
    start = time.monotonic()
    with kept.serve() as terminal:
        eventually(terminal.says("it has the public port"))
        kept.predict(2)
        assert time.monotonic() - start < REBOOT * BUSY
        eventually(lambda: kept.serves() and kept.counted() == 5)
        eventually(terminal.says("Ctrl-C ends all of it"))
        assert f"version 1 (bundle {kept.deployed.digest[:12]}) at {kept.url}, ready" in terminal.said
        assert f"drift detector       at {kept.detector_url}/, ready" in terminal.said
        assert f"log of {MODEL}: {kept.state}/server.log" in terminal.said
        assert "lifeboat serve, restarts: none" in terminal.said
        assert f"{MODEL} | {{" in terminal.said
        assert "the drift detector | {" in terminal.said


@pytest.mark.parametrize("number", first_of([signal.SIGINT, signal.SIGTERM]))
def test_the_foreground_ends_the_servers_first_so_that_their_last_events_arrive(
    laptop: Kept, number: signal.Signals
) -> None:
    with laptop.serve() as terminal:
        eventually(terminal.says("Ctrl-C ends all of it"))
        laptop.predict(5)
        assert terminal.end(number) == 0
        ends = [terminal.said.index(f"lifeboat | stopped {name}") for name in (MODEL, "the drift detector")]
        assert ends == sorted(ends)
    assert laptop.nothing_runs()
    assert laptop.lifeboat("stop") == "nothing to stop\n"
    laptop.lifeboat("serve", "--detach")
    eventually(lambda: laptop.counted() == 5)


def test_the_foreground_restarts_what_ends_and_says_so(laptop: Kept) -> None:
    with laptop.serve() as terminal:
        eventually(terminal.says("Ctrl-C ends all of it"))
        os.kill(laptop.supervisor(), signal.SIGTERM)
        eventually(terminal.says(f"{MODEL} | it does not run and is started in"))
        eventually(lambda: laptop.restarts() == {MODEL: 1})
        assert laptop.serves()


def test_a_log_moves_no_cursor_of_the_terminal_that_shows_it(laptop: Kept) -> None:
    with laptop.serve() as terminal:
        eventually(terminal.says("Ctrl-C ends all of it"))
        with (laptop.state / "server.log").open("a") as log:
            log.write("\x1b[2Jgone\r\x9b1m\n")
        eventually(terminal.says(f"{MODEL} | \\x1b[2Jgone\\r\\x9b1m\n"))
        assert "\x1b" not in terminal.said


def test_the_foreground_takes_over_from_the_background_and_a_second_one_is_refused(kept: Kept) -> None:
    before, background = kept.server(), kept.keeper.pid
    with kept.serve() as terminal:
        eventually(terminal.says("Ctrl-C ends all of it"))
        assert "what runs in the background is watched from here" in terminal.said
        assert kept.server() == before
        assert kept.keeper.pid == terminal.process.pid != background
        said = kept.lifeboat("serve", code=1)
        assert f"lifeboat serve runs for {kept.home} already, as process {terminal.process.pid}" in said
        kept.lifeboat("serve", "--detach")
        assert kept.keeper.pid == terminal.process.pid
        assert kept.lifeboat("stop").startswith("stopped lifeboat serve and what it kept\n")
        assert terminal.process.wait(60) == 0
    assert kept.nothing_runs()


def test_two_at_once_start_each_service_once(laptop: Kept) -> None:
    laptop.lifeboat("stop")
    calls = [
        subprocess.Popen(laptop.command("serve", "--detach"), cwd=ROOT, env=laptop.environment, stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    assert [call.communicate(timeout=60) and call.returncode for call in calls] == [0, 0, 0]
    assert laptop.serves()
    log = (laptop.state / "server.log").read_text()
    # Once by the deployment, once by one of the three.
    assert log.count("the supervisor is ready") == 2
    assert (laptop.home / "detector" / "log").read_text().count('"ready"') == 1


@pytest.mark.parametrize("number", first_of([signal.SIGINT, signal.SIGHUP]))
@pytest.mark.parametrize("moment", [f"{MODEL} | version 1 is ready", f"{MODEL} | it has the public port"])
def test_an_interrupted_start_leaves_nothing_without_its_keeper(
    laptop: Kept, moment: str, number: signal.Signals
) -> None:
    laptop.lifeboat("stop")
    with laptop.serve("--detach") as terminal:
        eventually(terminal.says(moment))
        assert terminal.end(number) == 130
        assert "interrupted, but what was begun is up and kept; lifeboat stop ends it" in terminal.said
    assert laptop.serves()
    assert laptop.keeper.is_running()


def test_a_deployment_that_is_interrupted_before_the_rest_is_kept_with_its_detector(laptop: Kept) -> None:
    """As by Ctrl-C between the last step of `lifeboat run` and the end of its report."""
    laptop.lifeboat("stop")
    with pytest.raises(KeyboardInterrupt):
        interrupted_after(laptop, laptop.deploy)
    eventually(laptop.serves)
    os.kill(laptop.supervisor(), signal.SIGKILL)
    eventually(lambda: laptop.restarts().get(MODEL) == 1 and laptop.serves())


def test_an_interruption_before_anything_was_started_starts_no_keeper(laptop: Kept) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted_after(laptop, lambda: None)
    assert not laptop.keeper.is_running()


def interrupted_after(laptop: Kept, start: Callable[[], None]) -> None:
    with keeping_in_background(laptop.settings):
        start()
        raise KeyboardInterrupt


@pytest.mark.parametrize("arguments", [(), ("--detach",)])
def test_stop_while_serve_brings_things_up_is_the_last_word_and_serve_says_so(
    laptop: Kept, arguments: tuple[str, ...]
) -> None:
    laptop.lifeboat("stop")
    with LocalTarget(laptop.settings).turn(MODEL, print):
        terminal = Foreground(laptop, *arguments)
        eventually(terminal.says(f"another rollout of {MODEL} is under way"))
        want(laptop.state, wanted=False)  # as `lifeboat stop` does, whose turn is first
    with terminal:
        assert terminal.process.wait(30) == 1
        assert f"{MODEL} | lifeboat stop came in between: it stays stopped\n" in terminal.said
    eventually(laptop.nothing_runs)


@pytest.mark.slow
def test_stop_in_the_middle_of_a_restart_is_the_last_word(kept: Kept) -> None:
    for _ in range(3):
        os.kill(kept.supervisor(), signal.SIGKILL)
        kept.lifeboat("stop")
        assert kept.nothing_runs()
        assert "stopped; lifeboat serve brings version 1 back" in kept.lifeboat("status")
        kept.lifeboat("serve", "--detach")


def test_one_that_is_stopped_alone_stays_so_and_the_keeper_ends_when_nothing_is_left(kept: Kept) -> None:
    assert kept.lifeboat("stop", "--usecase", MODEL) == f"stopped {MODEL}\n"
    os.kill(kept.detector(), signal.SIGKILL)
    # The keeper has looked at both.
    eventually(lambda: kept.restarts() == {"the drift detector": 1})
    assert not (kept.state / "supervisor.json").exists()
    assert not kept.deployed.wanted
    detector_service(kept.settings).find().stop()
    eventually(kept.nothing_runs)


def test_one_use_case_alone_comes_back_and_what_serves_on_other_ports_goes_on(laptop: Kept) -> None:
    other = replace(laptop.settings, port=free_port(), metrics_port=free_port(), grpc_port=free_port())
    laptop.deploy("iris", other)
    assert laptop.lifeboat("stop").count("stopped ") == 2
    laptop.lifeboat("serve", "--detach", "--usecase", MODEL)
    status = laptop.lifeboat("status")
    assert "iris                 stopped; lifeboat serve brings version 1 back" in status
    assert f"{MODEL}                 version 1 (bundle " in status
    said = laptop.lifeboat("serve", "--detach", "--usecase", MODEL, "--port", str(other.port), code=1)
    assert f"--port (or LIFEBOAT_PORT) is {other.port}, but use case {MODEL} of this home has" in said
    assert laptop.serves()
    assert laptop.deployed.wanted


def test_a_foreground_whose_reader_is_gone_goes_on(laptop: Kept) -> None:
    command = shlex.join(laptop.command("serve"))
    with subprocess.Popen(["bash", "-c", f"{command} | head -1"], cwd=ROOT, env=laptop.environment) as shell:
        eventually(lambda: (found := laptop.keeper.state()) is not None and found.foreground)
        os.kill(laptop.supervisor(), signal.SIGKILL)
        eventually(lambda: laptop.restarts() == {MODEL: 1})
        assert laptop.serves()
        laptop.lifeboat("stop")
        assert shell.wait(60) == 0
    assert laptop.nothing_runs()


def test_nothing_that_was_ever_deployed_is_said(tmp_path: Path) -> None:
    empty = Kept(tmp_path / "empty")
    said = empty.lifeboat("serve", code=1)
    assert (
        said
        == f"lifeboat: nothing was ever deployed from {empty.home}, which does not exist; start with: lifeboat run\n"
    )
    assert not empty.home.exists()


def test_a_use_case_that_was_never_deployed_is_said_with_those_that_were(laptop: Kept) -> None:
    said = laptop.lifeboat("serve", "--usecase", "titanic", code=1)
    assert f"titanic was never deployed from {laptop.home}; deployed are: {MODEL}" in said


@pytest.mark.parametrize("fault", ["another bundle", "altered", "gone"])
def test_a_bundle_that_is_not_what_was_deployed_never_serves(laptop: Kept, fault: str) -> None:
    laptop.lifeboat("stop")
    bundle = Path(laptop.deployed.bundle)
    if fault == "another bundle":
        tell(laptop.state, digest="0" * 64)
    elif fault == "altered":
        (bundle / "model.onnx").write_bytes(b"another one")
    else:
        bundle.rename(bundle.with_name("elsewhere"))
    said = laptop.lifeboat("serve", "--detach", code=1)
    assert "Traceback" not in said
    sentences = {"another bundle": "but 000000000000 was deployed", "altered": "model.onnx", "gone": "cannot be read"}
    assert sentences[fault] in said
    assert laptop.nothing_runs()


def test_a_port_that_somebody_has_by_now_is_said_as_run_says_it(laptop: Kept) -> None:
    laptop.lifeboat("stop")
    with socket.create_server(("127.0.0.1", laptop.settings.port)):
        taken = f"is {laptop.settings.port}, which is taken by process {os.getpid()} "
        assert taken in laptop.lifeboat("serve", "--detach", code=1)
        for name in ("LIFEBOAT_PORT", "LIFEBOAT_METRICS_PORT", "LIFEBOAT_DETECTOR_PORT"):
            del laptop.environment[name]
        said = laptop.lifeboat("serve", "--detach")
        moved = HomePorts(laptop.settings).kept(server_of(MODEL))["port"]
        assert f"port {laptop.settings.port} is taken by process {os.getpid()} " in said
        assert f"use case {MODEL} has {moved}\n" in said
    assert laptop.status().url.endswith(f":{moved}")


HEAVY = ("mlflow", "sklearn", "pandas", "kfp", "pyarrow", "onnxruntime", "scipy")


def test_neither_serve_nor_the_keeper_loads_what_trains() -> None:
    loaded = f"import sys, lifeboat.cli.verbs, lifeboat.cli.serve; print([n for n in {HEAVY} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
