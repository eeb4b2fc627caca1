"""Use cases in one home and homes on one machine: real model servers and real detectors, without a training."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from lifeboat.config import home_ports as ports
from lifeboat.config.errors import DeployError, PortError
from lifeboat.config.home_ports import HomePorts
from lifeboat.config.settings import Settings
from lifeboat.deploy.local import LocalTarget
from lifeboat.deploy.probe import ask
from lifeboat.model.bundle import Bundle, open_bundle
from lifeboat.registry.registry import Version
from lifeboat.server.rpc.messages import SELDON
from lifeboat.services.detector import detector_service, ensure_detector
from lifeboat.services.explainer import ensure_explainer, explainer_service
from lifeboat.services.listening import served
from lifeboat.services.ports import port_problems, refuse_strangers, reserve_ports, server_url
from lifeboat.services.status import describe_home
from lifeboat.supervisor.control import LOG_FILE, find_supervisor
from tests.detector.world import QUICK, add_bundle
from tests.ports import free_port
from tests.server.rpc.stub import Stub, seldon_message
from tests.server.world import ROW, call


class Home:
    """A home in which models serve that nobody trained."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(home=str(folder), detector_python=sys.executable, serving_python=sys.executable)
        self.said: list[str] = []

    def serve(self, usecase: str) -> str:
        """Rolls a model out as the deploy step does, and gives its URL."""
        return LocalTarget(self.settings).roll_out(*self.made(usecase), lambda: None, self.said.append)

    def made(self, usecase: str) -> tuple[Bundle, Version]:
        """A model in the home's store."""
        digest = add_bundle(Path(self.settings.bundle_store), usecase)
        bundle = open_bundle(Path(self.settings.bundle_store) / "bundles" / usecase / digest)
        return bundle, Version(usecase, "1", digest, "")

    def call(self, usecase: str) -> str:
        """Asks the use case's server over gRPC, by a connection of its own; gives the model that answers."""
        control = find_supervisor(self.settings.serving_state(usecase))
        assert control is not None
        with (
            control,
            grpc.insecure_channel(control.status().grpc_address, [("grpc.use_local_subchannel_pool", 1)]) as to,
        ):
            answer = Stub(to, SELDON)("Predict", seldon_message({"jsonData": ROW}))
        return str(answer.meta.tags["model_name"].string_value)

    def watch(self) -> str:
        """Starts the detector and gives its URL."""
        return ensure_detector(self.settings, {"judge": QUICK}, self.said.append)

    def rows(self) -> dict[str, int]:
        """What the detector has counted, by model."""
        report = call(f"{HomePorts(self.settings).detector_url}/drift").json
        return {model["model"]: model["rows"] for model in report["models"]}

    def stop(self) -> None:
        for name in served(self.settings):
            control = find_supervisor(self.settings.serving_state(name))
            if control is not None:
                with control:
                    control.stop()
        for service in (detector_service(self.settings), explainer_service(self.settings)):
            service.find().stop()


@pytest.fixture(autouse=True)
def defaults(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Defaults that no other program of this machine has."""
    chosen = {name: free_port() for name in ports.DEFAULTS}
    for name, port in chosen.items():
        monkeypatch.setitem(ports.DEFAULTS, name, port)
    return chosen


@pytest.fixture
def make_home(tmp_path: Path) -> Iterator[Callable[[str], Home]]:
    made: list[Home] = []

    def make(name: str) -> Home:
        made.append(Home(tmp_path / name))
        return made[-1]

    yield make
    for home in made:
        home.stop()


def port_of(url: str) -> int:
    return int(url.rstrip("/").rpartition(":")[2])


def eventually(found: Callable[[], Any], wanted: Any, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while found() != wanted:
        assert time.monotonic() < deadline, f"{found()} is not {wanted}"
        time.sleep(0.05)


def test_two_use_cases_of_a_home_serve_and_one_detector_watches_both(
    make_home: Callable[[str], Home], defaults: dict[str, int]
) -> None:
    home = make_home("home")
    ship, iris = home.serve("ship"), home.serve("iris")
    assert port_of(ship) == defaults["port"] < port_of(iris)
    detector = home.watch()
    assert port_of(detector) == defaults["detector_port"]
    assert home.watch() == detector
    for url, rows in ((ship, 2), (iris, 3)):
        ask(url, [ROW] * rows)
    eventually(home.rows, {"iris": 3, "ship": 2})
    lines = describe_home(home.settings)
    assert f" at {ship}, ready, " in lines["ship"][0]
    assert lines["ship"][0].endswith(f", gRPC 127.0.0.1:{defaults['grpc_port']}")
    assert f" at {iris}, ready, " in lines["iris"][0]
    assert lines["drift detector"] == [f"at {detector}, ready"]
    [who] = [line for line in lines["iris"][1:] if line.startswith("use case iris has port")]
    assert f", since {defaults['port']} is taken by use case ship of this home (process " in who


def test_two_homes_of_two_use_cases_at_the_same_time_have_servers_of_their_own(
    make_home: Callable[[str], Home], defaults: dict[str, int]
) -> None:
    homes = [make_home("one"), make_home("two")]
    urls: dict[Home, tuple[str, str, str]] = {}
    # Both count on the defaults before either listens.
    assert [reserve_ports(home.settings, "ship") for home in homes] == [[], []]

    def run(home: Home) -> None:
        urls[home] = home.serve("ship"), home.watch(), home.serve("iris")

    runs = [threading.Thread(target=run, args=(home,)) for home in homes]
    for one in runs:
        one.start()
    for one in runs:
        one.join()
    assert len({url for every in urls.values() for url in every}) == 6
    for number, home in enumerate(homes, start=1):
        ask(urls[home][0], [ROW] * number)
        # Over gRPC, whose servers of one port would answer each other's calls in silence: every time the right one.
        for usecase in ("ship", "iris"):
            assert [home.call(usecase) for _ in range(10)] == [usecase] * 10
        eventually(home.rows, {"ship": number + 10, "iris": 10})
    [late] = [home for home in homes if port_of(urls[home][0]) != defaults["port"]]
    [early] = [home for home in homes if home is not late]
    who = f"is taken by use case ship of {early.settings.home_path} (process "
    assert any(who in line for line in describe_home(late.settings)["ship"])


@pytest.mark.slow
def test_a_detector_whose_port_is_taken_meanwhile_moves_and_no_event_is_lost(
    make_home: Callable[[str], Home], defaults: dict[str, int]
) -> None:
    home = make_home("home")
    url = home.serve("ship")
    home.watch()
    detector_service(home.settings).find().stop()
    ask(url, [ROW])
    with socket.create_server(("127.0.0.1", defaults["detector_port"])):
        moved = home.watch()
        assert port_of(moved) > defaults["detector_port"]
        assert home.said[-1].startswith(f"the events of ship go to {moved}events/")
        ask(url, [ROW])
        eventually(home.rows, {"ship": 2})
    assert describe_home(home.settings)["drift detector"][0] == f"at {moved}, ready"


def test_events_wait_for_their_detector_where_another_homes_took_its_port(make_home: Callable[[str], Home]) -> None:
    home, other = make_home("home"), make_home("other")
    url, left = home.serve("ship"), home.watch()
    detector_service(home.settings).find().stop()
    assert other.watch() == left
    ask(url, [ROW])
    log = home.settings.serving_state("ship") / LOG_FILE
    eventually(lambda: '"status": 404' in log.read_text(), wanted=True)
    moved = home.watch()
    assert moved != left
    eventually(home.rows, {"ship": 1})
    assert other.rows() == {}


def test_a_detector_of_an_earlier_edition_is_started_anew(
    make_home: Callable[[str], Home], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = make_home("home")
    with monkeypatch.context() as earlier:
        earlier.setattr(HomePorts, "events_path", "/")  # all that it knew
        url, detector = home.serve("ship"), home.watch()
        ask(url, [ROW])
        eventually(home.rows, {"ship": 1})
    pid = detector_service(home.settings).find().pid
    assert home.watch() == detector
    assert detector_service(home.settings).find().pid != pid
    ask(url, [ROW])
    eventually(home.rows, {"ship": 2})
    again = detector_service(home.settings).find().pid
    home.watch()
    assert detector_service(home.settings).find().pid == again


def test_a_chosen_port_that_another_use_case_has_is_refused_with_its_name(make_home: Callable[[str], Home]) -> None:
    home = make_home("home")
    url = home.serve("ship")
    chosen = Settings(home=home.settings.home, detector_python="none", port=port_of(url))
    sentence = r"which is taken by use case ship of this home \(process \d+\); choose another"
    with pytest.raises(PortError, match=sentence):
        reserve_ports(chosen, "iris")
    assert port_problems(chosen, "ship") == []
    assert server_url(chosen, "ship") == url


def test_a_chosen_port_that_a_running_server_does_not_have_is_refused(make_home: Callable[[str], Home]) -> None:
    home = make_home("home")
    home.serve("ship")
    home.watch()
    other, another = free_port(), free_port()
    chosen = Settings(home=home.settings.home, detector_python=sys.executable, port=other, detector_port=another)
    server, detector = port_problems(chosen, "ship")
    assert server.startswith(f"--port (or LIFEBOAT_PORT) is {other}, but use case ship of this home has ")
    assert detector.startswith(
        f"--detector-port (or LIFEBOAT_DETECTOR_PORT) is {another}, but the drift detector of this home has "
    )
    with pytest.raises(DeployError, match="lifeboat stop"):
        ensure_detector(chosen)
    with pytest.raises(PortError, match=rf"is {other}, but use case ship of this home has"):
        LocalTarget(chosen).roll_out(*home.made("ship"), lambda: None, home.said.append)
    refuse_strangers(chosen)
    home.serve("ship")  # it still takes new versions on its own port


def test_a_port_of_another_home_is_refused_before_a_use_case_is_loaded(make_home: Callable[[str], Home]) -> None:
    home, other = make_home("home"), make_home("other")
    port = port_of(home.serve("ship"))
    with pytest.raises(PortError, match=f"taken by use case ship of {home.settings.home_path} "):
        refuse_strangers(replace(other.settings, port=port))
    refuse_strangers(replace(home.settings, port=port))


def test_a_killed_server_comes_back_on_its_port(make_home: Callable[[str], Home], defaults: dict[str, int]) -> None:

    home = make_home("home")
    first = home.serve("ship")
    control = find_supervisor(home.settings.serving_state("ship"))
    assert control is not None
    with control:
        os.kill(control.status().pid, signal.SIGKILL)
    ended = f"ended by itself; lifeboat serve brings version 1 back at {first}"
    eventually(lambda: describe_home(home.settings)["ship"][0], ended)
    assert home.serve("ship") == first


def test_what_does_not_answer_is_not_called_ready(make_home: Callable[[str], Home]) -> None:

    home = make_home("home")
    url = home.serve("ship")
    home.watch()
    control = find_supervisor(home.settings.serving_state("ship"))
    assert control is not None
    with control:
        serving = control.status().serving
    assert serving is not None
    detector = detector_service(home.settings).find().pid
    assert detector is not None
    stopped = [serving.pid, detector]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        lines = describe_home(home.settings)
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    assert f"at {url}, but it does not answer; log " in lines["ship"][0]
    assert f", but it does not answer; process {detector}, log " in lines["drift detector"][0]


def reasons(url: str) -> int:
    """The status of a question for the reasons of an answer."""
    return call(f"{url}/api/v1.0/explain", {"jsonData": ROW}).status


def test_one_explainer_answers_the_servers_of_a_home_also_where_its_port_moves(
    make_home: Callable[[str], Home], defaults: dict[str, int]
) -> None:
    home = make_home("home")
    ship, iris = home.serve("ship"), home.serve("iris")
    assert reasons(ship) == 503  # it is not there yet
    ensure_explainer(home.settings, home.said.append)
    assert [reasons(ship), reasons(iris)] == [200, 200]
    explainer = explainer_service(home.settings)
    pid = explainer.find().pid
    ensure_explainer(home.settings, home.said.append)
    assert explainer.find().pid == pid
    assert describe_home(home.settings)["explainer"][0] == f"at http://127.0.0.1:{defaults['explainer_port']}, ready"
    explainer.find().stop()
    with socket.create_server(("127.0.0.1", defaults["explainer_port"])):
        ensure_explainer(home.settings, home.said.append)
        moved = HomePorts(home.settings).explainer_url
        assert port_of(moved.removesuffix("/explain")) > defaults["explainer_port"]
        assert f"iris asks for reasons at {moved} from now on" in home.said
        assert [reasons(ship), reasons(iris)] == [200, 200]
        assert reasons(home.serve("late")) == 200  # one that is deployed afterwards
