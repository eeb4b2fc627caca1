"""The home page as a service of its home: started, kept, named, ended; and as a verb in a terminal."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifeboat.services.daemons import answers
from lifeboat.services.home_page import home_page_service, home_page_url
from tests.pipeline.laptop import ROOT
from tests.services.kept import Kept, eventually
from tests.ui.world import Page


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Kept]:
    """Deployed and served, with the home's page."""
    made = Kept(tmp_path / "home", ui=True)
    made.deploy()
    made.lifeboat("serve", "--detach")
    yield made
    made.lifeboat("stop")


def pid(laptop: Kept) -> int | None:
    return home_page_service(laptop.settings).find().pid


def test_it_is_served_with_the_rest_named_by_status_and_ended_by_stop(laptop: Kept) -> None:
    url = home_page_url(laptop.settings)
    assert url == f"http://127.0.0.1:{laptop.settings.ui_port}/"
    assert re.search(rf"^home page +at {url}, ready$", laptop.lifeboat("status"), re.MULTILINE)
    assert laptop.lifeboat("ui") == f"the home page is at {url} already, process {pid(laptop)}\n"
    shown = Page(url).get()
    assert "ship version 1 serves" in shown.text
    assert f"{laptop.url}/" in shown.links
    assert f"{laptop.detector_url}/" in shown.links
    # The detector and the model server lead back.
    for other in (laptop.url, laptop.detector_url):
        assert url in Page(other).get().links
    assert "stopped the home page" in laptop.lifeboat("stop")
    assert not answers(url)


def test_it_is_back_when_it_was_killed_and_keeps_its_address(laptop: Kept) -> None:
    killed, url = pid(laptop), home_page_url(laptop.settings)
    assert killed
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: pid(laptop) != killed and answers(url), 30)
    assert home_page_url(laptop.settings) == url


def test_what_has_ended_is_said_and_the_rest_is_shown(laptop: Kept) -> None:
    page = Page(home_page_url(laptop.settings))
    os.kill(laptop.keeper.pid or 0, signal.SIGKILL)
    os.kill(laptop.detector(), signal.SIGKILL)
    eventually(lambda: "the drift detector has ended" in page.get().text, 30)
    assert "ship version 1 serves" in page.get().text
    os.kill(laptop.serving().pid or 0, signal.SIGSTOP)  # it hangs: it is neither there nor gone
    try:
        eventually(lambda: "ship: does not serve" in page.get().text, 30)
    finally:
        os.kill(laptop.serving().pid or 0, signal.SIGCONT)
    eventually(lambda: "ship version 1 serves" in page.get().text, 30)


def test_in_a_terminal_it_says_where_it_is_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    laptop = Kept(tmp_path / "home", ui=True)
    url = home_page_url(laptop.settings)
    with subprocess.Popen(
        laptop.command("ui"), cwd=ROOT, env=laptop.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout
        assert process.stdout.readline().decode() == f"the home page is at {url}; Ctrl-C ends it\n"
        assert Page(url).get().status == 200
        assert laptop.lifeboat("ui") == f"the home page is at {url} already, process {process.pid}\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert process.stdout.read() == b""
    assert not answers(url)
    assert "home page            stopped" in laptop.lifeboat("status")


def test_a_port_that_was_chosen_and_is_taken_is_said(tmp_path: Path) -> None:
    laptop = Kept(tmp_path / "home", ui=True)
    with socket.create_server(("127.0.0.1", laptop.settings.ui_port)):
        said = laptop.lifeboat("ui", code=1)
    assert f"--ui-port (or LIFEBOAT_UI_PORT) is {laptop.settings.ui_port}, which is taken by process" in said


def test_without_a_choice_it_takes_the_next_free_port_and_keeps_it(tmp_path: Path) -> None:
    laptop = Kept(tmp_path / "home", ui=True)
    del laptop.environment["LIFEBOAT_UI_PORT"]
    taken = [socket.create_server(("127.0.0.1", 9050))] if not answers("http://127.0.0.1:9050/ready") else []
    try:
        with subprocess.Popen(
            laptop.command("ui"), cwd=ROOT, env=laptop.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            assert process.stdout
            said = [process.stdout.readline().decode(), process.stdout.readline().decode()]
            found = re.search(r"http://127\.0\.0\.1:(\d+)/; Ctrl-C", said[1])
            assert found, said
            assert int(found[1]) > 9050
            assert said[0].startswith("port 9050 is taken by")
            process.terminate()
            assert process.wait(20) == 0
    finally:
        for one in taken:
            one.close()
