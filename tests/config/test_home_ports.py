"""Ports of a home: the default where it is free, else the next, kept; with real sockets."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lifeboat.config import home_ports as ports
from lifeboat.config.errors import PortError, SettingsError, StorageError
from lifeboat.config.home_ports import PORTS_FILE, HomePorts
from lifeboat.config.settings import NO_DETECTOR, Settings
from lifeboat.system.addresses import DETECTOR, Holder, base_url, find_holder, server_of
from tests.ports import free_port

SHIP, IRIS = server_of("ship"), server_of("iris")
Home = Callable[..., HomePorts]


@pytest.fixture(autouse=True)
def defaults(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Defaults that no other program of this machine has, and that lie far from one another."""
    chosen = {name: free_port() for name in ports.DEFAULTS}
    for name, port in chosen.items():
        monkeypatch.setitem(ports.DEFAULTS, name, port)
    return chosen


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """The ports of a home of the test, with settings that the user chose."""
    return lambda name="home", **chosen: HomePorts(Settings(home=str(tmp_path / name), **chosen))


@contextmanager
def listening(port: int) -> Iterator[None]:
    """Another program on the port: this one."""
    with socket.create_server(("127.0.0.1", port)):
        yield


def silent(said: str) -> None:
    raise AssertionError(f"nothing is to be said, and not {said!r}")


def test_the_defaults_are_given_where_they_are_free_and_nothing_is_said(home: Home, defaults: dict[str, int]) -> None:
    assert home().reserve(SHIP, silent) == {name: defaults[name] for name in ("port", "metrics_port", "grpc_port")}
    assert home().reserve(DETECTOR, silent) == {"detector_port": defaults["detector_port"]}
    assert home().explain(SHIP) == []
    # Another home may count on the same ones: who listens first has them.
    assert home("other").reserve(SHIP, silent) == home().kept(SHIP)


def test_a_second_use_case_gets_the_next_ones_and_both_keep_theirs(home: Home, defaults: dict[str, int]) -> None:
    first = home().reserve(SHIP, silent)
    said: list[str] = []
    second = home().reserve(IRIS, said.append)
    assert second["port"] > first["port"]
    assert second["metrics_port"] > first["metrics_port"]
    kept = "is kept for use case ship of this home: use case iris has"
    assert said == [
        f"port {first['port']} {kept} {second['port']}",
        f"metrics port {first['metrics_port']} {kept} {second['metrics_port']}",
        f"gRPC port {first['grpc_port']} {kept} {second['grpc_port']}",
    ]
    assert (home().reserve(IRIS, silent), home().reserve(SHIP, silent)) == (second, first)
    with listening(first["port"]):
        who = f"taken by process {os.getpid()} ("
        [explained] = home().explain(IRIS)
    assert explained.startswith(f"use case iris has port {second['port']}, since {defaults['port']} is {who}")


def test_a_port_that_another_program_took_meanwhile_is_given_up_and_that_is_said(
    home: Home, defaults: dict[str, int]
) -> None:
    home().reserve(DETECTOR, silent)
    said: list[str] = []
    with listening(defaults["detector_port"]):
        moved = home().reserve(DETECTOR, said.append)["detector_port"]
    assert moved > defaults["detector_port"]
    assert said[0].startswith(f"port {defaults['detector_port']} is taken by process {os.getpid()} (")
    assert said[0].endswith(f": the drift detector has {moved}")
    assert home().detector_url == f"http://127.0.0.1:{moved}"
    assert home().reserve(DETECTOR, silent) == {"detector_port": moved}  # also once the other program has ended


def test_a_chosen_port_wins_and_is_refused_by_name_where_somebody_has_it(home: Home) -> None:
    port = free_port()
    assert home(port=port).reserve(SHIP, silent)["port"] == port
    with listening(port):
        sentence = (
            rf"^--port \(or LIFEBOAT_PORT\) is {port}, which is taken by process {os.getpid()} \(.+\); choose another"
        )
        with pytest.raises(PortError, match=sentence):
            home(port=port).reserve(IRIS, silent)
        assert [found.split(",")[0] for found in home(port=port).problems(IRIS)] == [
            f"--port (or LIFEBOAT_PORT) is {port}"
        ]
        assert home().problems(IRIS) == []
    assert home().kept(IRIS) == {}


def test_a_chosen_port_that_was_kept_for_a_server_that_does_not_run_leaves_that_one_another(
    home: Home, defaults: dict[str, int]
) -> None:
    home().reserve(SHIP, silent)
    assert home(port=defaults["port"]).reserve(IRIS, lambda _: None)["port"] == defaults["port"]
    assert home().reserve(SHIP, lambda _: None)["port"] != defaults["port"]


def test_callers_at_the_same_time_get_ports_of_their_own(home: Home) -> None:
    services = [server_of(f"case-{number}") for number in range(8)]
    callers = [threading.Thread(target=home().reserve, args=(name, lambda _: None)) for name in services]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    given = [port for name in services for port in home().kept(name).values()]
    assert len(set(given)) == len(given) == 3 * len(services)


def test_problems_are_told_all_at_once_and_keep_nothing(home: Home, tmp_path: Path) -> None:
    taken = home(port=free_port(), metrics_port=free_port())
    with listening(taken.chosen(SHIP)["port"]), listening(taken.chosen(SHIP)["metrics_port"]):
        assert [found.split()[0] for found in taken.problems(SHIP)] == ["--port", "--metrics-port"]
    assert taken.problems(SHIP) == []
    assert not (tmp_path / "home").exists()


def test_an_address_of_another_machine_is_refused(home: Home) -> None:
    with pytest.raises(SettingsError, match=r"^192\.0\.2\.1:\d+ cannot be listened on: "):
        home(host="192.0.2.1").problems(SHIP)


def test_where_no_port_is_free_the_way_to_choose_one_is_told(
    home: Home, defaults: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "_SEARCHED", 1)
    with listening(defaults["port"]):
        none = f"no port from {defaults['port']} to {defaults['port']} is free for use case ship"
        assert home().problems(SHIP) == [f"{none}; choose one by LIFEBOAT_PORT"]


def test_a_file_of_ports_that_is_none_is_named(home: Home, tmp_path: Path) -> None:
    home().reserve(SHIP, silent)
    path = tmp_path / "home" / PORTS_FILE
    assert json.loads(path.read_text()) == {SHIP: home().kept(SHIP)}
    path.write_text("{")
    with pytest.raises(StorageError, match="cannot be read: .*; remove it"):
        home().reserve(SHIP, silent)


def test_one_port_for_two_servers_is_refused_as_a_setting() -> None:
    with pytest.raises(SettingsError, match="^LIFEBOAT_DETECTOR_PORT is 9300, as is LIFEBOAT_PORT: each needs"):
        Settings(port=9300, detector_port=9300)


def test_where_a_server_is_going_to_be_is_known_before_it_has_ports(home: Home, defaults: dict[str, int]) -> None:
    settings = {"detector_python": NO_DETECTOR, "host": "0.0.0.0"}  # noqa: S104  # how others may listen
    assert home(**settings).server_url("ship") == f"http://127.0.0.1:{defaults['port']}"
    assert home(**settings, port=9300).server_url("ship") == "http://127.0.0.1:9300"
    assert home().detector_url == f"http://127.0.0.1:{defaults['detector_port']}"


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:80"), ("::", "http://[::1]:80"), ("fe80::1", "http://[fe80::1]:80")],
)
def test_a_url_reaches_whatever_is_listened_on(host: str, url: str) -> None:
    assert base_url(host, 80) == url


def test_a_free_port_has_no_holder_and_a_held_one_names_the_process() -> None:
    port = free_port()
    assert find_holder(port) is None
    with listening(port):
        holder = find_holder(port)
    assert holder is not None
    assert (holder.pid, holder.folder, holder.service) == (os.getpid(), Path.cwd(), None)
    assert holder.describe(Path("/home")).startswith(f"process {os.getpid()} (")


def test_a_holders_command_line_moves_no_cursor_and_makes_no_line() -> None:
    program = "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); sys.stdin.read(1)"
    port = free_port()
    hostile = "\x1b[2J\nlifeboat: all is well\u202e" + "x" * 1000
    command = [sys.executable, "-c", program, str(port), hostile]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        until = time.monotonic() + 10
        while (holder := find_holder(port)) is None:
            assert time.monotonic() < until
            time.sleep(0.02)
        process.communicate(b"x")
    said = Holder(holder.pid, ("other", hostile), holder.folder).describe(Path("/home"))
    assert said == f"process {process.pid} (other \\x1b[2J\\nlifeboat: all is well\\u202e{'x' * 47}...)"
    assert hostile in holder.command
    assert holder.describe(Path("/home")).isprintable()
