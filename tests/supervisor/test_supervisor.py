"""The supervisor through its client: start, try, promote, and everything that can go wrong in between."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import grpc
import pytest

from lifeboat.config.errors import DeployError, PortError
from lifeboat.http.sockets import bind, listen
from lifeboat.server.settings import ServerSettings
from lifeboat.supervisor import launch as launch_module
from lifeboat.supervisor.control import LOG_FILE, Control, ensure_supervisor, find_supervisor
from lifeboat.supervisor.model_server import ModelServer
from lifeboat.supervisor.process import Order, Process
from lifeboat.supervisor.state import STATE_FILE
from lifeboat.system.addresses import find_holder
from tests.ports import free_port
from tests.server.load import Load
from tests.server.receiver import Receiver, wait_for_predictions
from tests.server.rpc.load import RpcLoad
from tests.server.world import ROW_VALUES, call, make_bundle, ndarray

Connect = Callable[[], Control]


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Connect]:
    """Connects to the supervisor of this test, starting it the first time."""
    ports, opened = some_ports(), list[Control]()

    def open_control() -> Control:
        settings = {"drain_idle_seconds": "0.3", "grpc_connection_seconds": "0.5"}
        control = ensure_supervisor(tmp_path, "127.0.0.1", ports, sys.executable, settings)
        opened.append(control)
        return control

    yield open_control
    # Before the others leave: a supervisor with nothing to serve ends with its last connection.
    last = find_supervisor(tmp_path)
    for control in opened:
        control.close()
    if last is not None:
        with last:
            last.stop()


def some_ports(port: int = 0) -> dict[str, int]:
    """Free ones for all that a supervisor has, or a port for its predictions."""
    return {"port": port or free_port(), "metrics_port": free_port(), "grpc_port": free_port()}


def eventually(condition: Callable[[], bool], seconds: float = 8.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def deploy(control: Control, bundle: Path, version: str) -> None:
    control.start(bundle, "tiny", version)
    control.promote()


def test_a_candidate_is_tried_on_a_private_port_and_promoted_to_the_public_one(connect: Connect, bundle: Path) -> None:
    control = connect()
    assert control.status().serving is None
    candidate = control.start(bundle, "tiny", "1")
    answer = call(candidate.url + "/predict", ndarray(ROW_VALUES))
    assert answer.json["meta"]["tags"]["model_version"] == "1"
    status = control.status()
    assert (status.serving, status.candidate.version if status.candidate else None) == (None, "1")
    control.promote()
    status = control.status()
    assert status.serving is not None
    assert (status.serving.version, status.serving.digest, status.candidate) == ("1", candidate.digest, None)
    assert call(status.url + "/predict", ndarray(ROW_VALUES)).status == 200
    assert b'version="1"' in call(status.metrics_url).body
    assert call(status.metrics_url.replace("/metrics", "/prometheus")).status == 200
    with pytest.raises(OSError, match="refused"):
        call(candidate.url + "/ready")


def test_nobody_can_connect_before_there_is_a_model(connect: Connect) -> None:
    with pytest.raises(OSError, match="refused"):
        call(connect().status().url + "/ready")


def test_a_switch_under_load_fails_no_request_and_each_answer_is_of_one_version(
    connect: Connect, tmp_path: Path
) -> None:
    control = connect()
    bundles = [make_bundle(tmp_path / f"bundle{bias}", bias=bias / 100) for bias in range(3)]
    deploy(control, bundles[0], "0")
    port = int(control.status().url.rpartition(":")[2])
    with Load(port) as load:
        for version in (1, 2):
            time.sleep(0.4)
            deploy(control, bundles[version], str(version))
        time.sleep(0.4)
    assert load.failures == []
    assert load.answered > 200
    assert load.versions == {"0", "1", "2"}
    assert len(load.pairs) == 3


def test_a_switch_under_load_fails_no_call_of_grpc_also_when_a_server_was_killed_before(
    connect: Connect, bundle: Path
) -> None:
    control = connect()
    deploy(control, bundle, "0")
    status = control.status()
    assert status.serving is not None
    os.kill(status.serving.pid, signal.SIGKILL)
    eventually(lambda: bool((found := control.status().serving) and found.restarts == 1 and found.pid))
    port = int(status.grpc_address.rpartition(":")[2])
    eventually(lambda: answers(port))
    with RpcLoad(port) as load:
        for version in (1, 2, 3):
            time.sleep(0.4)
            deploy(control, bundle, str(version))
            before = dict(load.answered)
            eventually(lambda version=version, before=before: load.answered[str(version)] > before[str(version)] + 20)
            assert load.answered[str(version - 1)] == before[str(version - 1)], "the old one has ended"
        load.expect_end()
        control.stop()
    assert load.failures == []
    assert load.answered.keys() == {"0", "1", "2", "3"}


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def test_a_port_of_grpc_is_one_supervisors_and_no_other_servers(connect: Connect, bundle: Path, tmp_path: Path) -> None:
    control = connect()
    address = control.status().grpc_address
    port = int(address.rpartition(":")[2])
    taken = f"cannot listen on 127.0.0.1 port {port}: Address already in use"
    others = {**some_ports(), "grpc_port": port}
    with pytest.raises(PortError, match=taken):  # before there is a model
        ensure_supervisor(tmp_path / "other", "127.0.0.1", others, sys.executable)
    deploy(control, bundle, "1")
    with pytest.raises(PortError, match=taken):
        ensure_supervisor(tmp_path / "other", "127.0.0.1", others, sys.executable)
    holder = find_holder(port)
    assert holder is not None
    assert (holder.pid, holder.service) == (control.status().pid, (f"use case {tmp_path.name}", tmp_path.parent.parent))
    control.stop()
    # Free at once, also for one that shares it with nobody.
    with bind("127.0.0.1", port) as bound:
        listen(bound)


def test_a_port_of_grpc_that_another_program_shares_is_refused(tmp_path: Path) -> None:
    ports = some_ports()
    server = grpc.server(ThreadPoolExecutor(1))  # it shares its port, as gRPC's servers do unless they are told not to
    server.add_insecure_port(f"127.0.0.1:{ports['grpc_port']}")
    server.start()
    with pytest.raises(
        PortError, match=f"cannot listen on 127.0.0.1 port {ports['grpc_port']}: Address already in use"
    ):
        ensure_supervisor(tmp_path, "127.0.0.1", ports, sys.executable)
    server.stop(None).wait()


def test_a_broken_bundle_leaves_the_old_version_serving_and_says_why(
    connect: Connect, bundle: Path, tmp_path: Path
) -> None:
    control = connect()
    deploy(control, bundle, "1")
    with pytest.raises(DeployError, match="golden request 1 is answered"):
        control.start(make_bundle(tmp_path / "wrong", wrong_by=0.1), "tiny", "2")
    with pytest.raises(DeployError, match="nothing to promote"):
        control.promote()
    status = control.status()
    assert status.serving is not None
    assert (status.serving.version, status.candidate) == ("1", None)
    assert call(status.url + "/predict", ndarray(ROW_VALUES)).status == 200
    deploy(control, bundle, "3")


def test_a_candidate_that_dies_before_its_promotion_leaves_the_old_version_serving(
    connect: Connect, bundle: Path
) -> None:
    control = connect()
    deploy(control, bundle, "1")
    control.start(bundle, "tiny", "2")
    candidate = control.status().candidate
    assert candidate is not None
    os.kill(candidate.pid, signal.SIGSTOP)
    os.kill(candidate.pid, signal.SIGKILL)
    with pytest.raises(DeployError, match="signal 9"):
        control.promote()
    status = control.status()
    assert status.serving is not None
    assert (status.serving.version, status.candidate) == ("1", None)


def test_an_interrupted_deployment_leaves_nothing_behind(connect: Connect, bundle: Path) -> None:
    control, watcher = connect(), connect()
    control.start(bundle, "tiny", "1")
    candidate = watcher.status().candidate
    assert candidate is not None
    control.close()
    eventually(lambda: watcher.status().candidate is None)
    assert not alive(candidate.pid)
    deploy(watcher, bundle, "2")


def test_a_first_deployment_that_came_to_nothing_leaves_no_supervisor(
    connect: Connect, bundle: Path, tmp_path: Path
) -> None:
    control = connect()
    control.start(bundle, "tiny", "1")
    control.close()
    eventually(lambda: is_gone(tmp_path))


def is_gone(state: Path) -> bool:
    control = find_supervisor(state)
    if control is not None:
        control.close()
    return control is None


def test_a_client_that_leaves_while_its_candidate_starts_leaves_nothing_behind(connect: Connect, bundle: Path) -> None:
    control, watcher = connect(), connect()
    control._connection.sendall(
        b'{"op": "start", "bundle": "%b", "name": "tiny", "version": "1"}\n' % str(bundle).encode()
    )
    eventually(lambda: watcher.status().candidate is not None)
    control.close()
    eventually(lambda: watcher.status().candidate is None)
    deploy(watcher, bundle, "2")


def answers_as(url: str, version: str) -> bool:
    answer = call(url + "/predict", ndarray(ROW_VALUES))
    return bool(answer.json["meta"]["tags"]["model_version"] == version)


def test_a_client_that_leaves_once_it_has_promoted_is_taken_at_its_word(connect: Connect, bundle: Path) -> None:
    watcher = connect()
    deploy(watcher, bundle, "0")
    for version in range(1, 7):
        control = connect()
        control.start(bundle, "tiny", str(version))
        control._connection.sendall(b'{"op": "promote"}\n')
        # Between the word and the switch there is a millisecond or less, which no client can aim at.
        time.sleep(version / 10_000)
        control.close()
        eventually(lambda: watcher.status().candidate is None)
        status = watcher.status()
        assert status.serving is not None
        assert status.serving.version == str(version)
        # The old one still answers what it has accepted: the promoter waits for its end, this watcher does not.
        eventually(partial(answers_as, status.url, str(version)))


def test_a_second_deployment_is_refused_while_one_is_in_progress(connect: Connect, bundle: Path) -> None:
    first, second = connect(), connect()
    first.start(bundle, "tiny", "1")
    with pytest.raises(DeployError, match="another deployment is in progress"):
        second.start(bundle, "tiny", "2")
    with pytest.raises(DeployError, match="nothing to promote"):
        second.promote()
    first.promote()
    deploy(second, bundle, "2")


def test_a_killed_server_is_started_again_and_nobody_is_refused(connect: Connect, bundle: Path) -> None:
    control = connect()
    deploy(control, bundle, "1")
    status = control.status()
    assert status.serving is not None
    os.kill(status.serving.pid, signal.SIGKILL)
    assert call(status.url + "/predict", ndarray(ROW_VALUES)).status == 200
    after = control.status().serving
    assert after is not None
    assert after.restarts == 1


def test_a_server_that_cannot_be_started_again_at_once_is_tried_until_it_can(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def live() -> None:
        private, python = bind("127.0.0.1", 0), sys.executable
        listen(private)
        server = ModelServer(ServerSettings(bundle=str(bundle), host="127.0.0.1"), [], private)
        await server.start()
        try:
            # As when the system has no process or descriptor left for one more.
            monkeypatch.setattr(sys, "executable", str(bundle / "none"))
            os.kill(server.describe()["pid"], signal.SIGKILL)
            while "did not start again" not in caplog.text:
                await asyncio.sleep(0.01)
            assert server.describe()["pid"] is None
            monkeypatch.setattr(sys, "executable", python)
            while server.describe()["pid"] is None:
                await asyncio.sleep(0.01)
        finally:
            await server.end()

    async def live_in_time() -> None:
        async with asyncio.timeout(20):
            await live()

    asyncio.run(live_in_time())


def test_a_line_too_long_for_the_log_ends_neither_the_log_nor_the_server(caplog: pytest.LogCaptureFixture) -> None:
    code = "import sys; sys.stderr.write('x' * 1_000_000 + '\\nshort\\n')"

    async def listen_to_it() -> None:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        process = Process(child, Order({"drain_seconds": 0}, (), ()))
        async with asyncio.timeout(20):
            await process.ended
        assert process.last_words == "the server ended with exit code 0: short"

    caplog.set_level("INFO")
    asyncio.run(listen_to_it())
    assert "a line too long to be kept" in caplog.text


def test_servers_end_with_a_killed_supervisor_and_its_place_can_be_taken(
    connect: Connect, bundle: Path, tmp_path: Path
) -> None:
    control = connect()
    deploy(control, bundle, "1")
    status = control.status()
    assert status.serving is not None
    os.kill(status.pid, signal.SIGKILL)
    with pytest.raises(DeployError, match="the supervisor is gone"):
        control.status()
    server = status.serving.pid
    eventually(lambda: not alive(server))
    assert find_supervisor(tmp_path) is None
    deploy(connect(), bundle, "2")


def test_stop_drains_and_leaves_only_the_log(connect: Connect, bundle: Path, tmp_path: Path) -> None:
    control = connect()
    deploy(control, bundle, "1")
    url = control.status().url
    with Load(int(url.rpartition(":")[2])) as load:
        time.sleep(0.2)
        load.expect_end()
        control.stop()
    assert load.failures == []
    assert find_supervisor(tmp_path) is None
    assert not (tmp_path / STATE_FILE).exists()
    assert '"message": "draining"' in (tmp_path / LOG_FILE).read_text()


def test_sigterm_is_as_graceful_as_stop(connect: Connect, bundle: Path, tmp_path: Path) -> None:
    control = connect()
    deploy(control, bundle, "1")
    pid = control.status().pid
    os.kill(pid, signal.SIGTERM)
    eventually(lambda: not (tmp_path / STATE_FILE).exists())


@pytest.mark.parametrize("asked", [b"", b'{"op": "start", "bundle": "%b", "name": "tiny", "version": "2"}\n'])
def test_a_client_that_stays_is_let_go_at_the_end_without_an_error_in_the_log(
    connect: Connect, bundle: Path, tmp_path: Path, asked: bytes
) -> None:
    control = connect()
    deploy(control, bundle, "1")
    pid = control.status().pid
    control._connection.sendall(asked.replace(b"%b", str(bundle).encode()))
    time.sleep(0.1 if asked else 0.0)
    os.kill(pid, signal.SIGTERM)
    eventually(lambda: not (tmp_path / STATE_FILE).exists())
    assert '"level": "error"' not in (tmp_path / LOG_FILE).read_text()


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortError, match=f"cannot listen on 127.0.0.1 port {port}: Address already in use"):
            ensure_supervisor(tmp_path, "127.0.0.1", some_ports(port), sys.executable)
    assert find_supervisor(tmp_path) is None


def test_a_port_is_a_supervisors_own_before_anything_is_promoted(connect: Connect, tmp_path: Path) -> None:
    port = int(connect().status().url.rpartition(":")[2])
    other = tmp_path / "other"
    with pytest.raises(PortError, match=f"cannot listen on 127.0.0.1 port {port}: Address already in use"):
        ensure_supervisor(other, "127.0.0.1", some_ports(port), sys.executable)


def test_events_follow_their_receiver_also_those_that_wait_and_those_of_a_process_started_again(
    connect: Connect, bundle: Path, receiver: Receiver
) -> None:
    control = connect()
    control.send_events("http://127.0.0.1:9/")  # where nobody is
    deploy(control, bundle, "1")
    url = control.status().url
    call(url + "/predict", ndarray(ROW_VALUES), seldon_puid="waits")
    control.start(bundle, "tiny", "2")
    control.send_events(receiver.url)
    assert [one["id"] for one in wait_for_predictions(receiver, 1)] == ["waits"]
    # The candidate was started before, with the old URL.
    control.promote()
    call(url + "/predict", ndarray(ROW_VALUES), seldon_puid="candidate")
    assert [one["id"] for one in wait_for_predictions(receiver, 2)][1:] == ["candidate"]
    status = control.status()
    assert status.serving is not None
    assert status.events_url == receiver.url
    os.kill(status.serving.pid, signal.SIGKILL)
    eventually(lambda: bool((found := control.status().serving) and found.restarts == 1 and found.pid))
    call(url + "/predict", ndarray(ROW_VALUES), seldon_puid="restarted")
    assert [one["id"] for one in wait_for_predictions(receiver, 3)][2:] == ["restarted"]


def test_events_of_a_server_that_sent_none_begin_when_it_is_told_where(
    connect: Connect, bundle: Path, receiver: Receiver
) -> None:
    control = connect()
    deploy(control, bundle, "1")
    assert control.status().events_url == ""
    control.send_events(receiver.url)
    call(control.status().url + "/predict", ndarray(ROW_VALUES), seldon_puid="told")
    assert [one["id"] for one in wait_for_predictions(receiver, 1)] == ["told"]
    with pytest.raises(DeployError, match="events cannot be sent to 'nowhere': not an http or https URL"):
        control.send_events("nowhere")
    assert control.status().events_url == receiver.url


def test_an_interpreter_without_the_packages_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="cannot be started with"):
        ensure_supervisor(tmp_path, "127.0.0.1", some_ports(), str(tmp_path / "none"))
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o700)
    with pytest.raises(DeployError, match="its last words are in"):
        ensure_supervisor(tmp_path, "127.0.0.1", some_ports(), str(broken))


def test_a_supervisor_that_says_nothing_in_time_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch_module, "STARTUP_SECONDS", 0.5)
    silent = tmp_path / "python"
    silent.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    silent.chmod(0o700)
    with pytest.raises(DeployError, match=r"not ready within 0\.5 s and was ended"):
        ensure_supervisor(tmp_path, "127.0.0.1", some_ports(), str(silent))
    pid = int((tmp_path / "pid").read_text())
    eventually(lambda: b"sleep" not in Path(f"/proc/{pid}/cmdline").read_bytes())


def test_the_control_socket_is_ours_alone(connect: Connect, tmp_path: Path) -> None:
    import json

    connect()
    path = Path(json.loads((tmp_path / STATE_FILE).read_text())["socket"])
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
