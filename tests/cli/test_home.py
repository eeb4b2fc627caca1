"""`status`, `stop` and `serve` of a home that is none, or another user's: one sentence that says so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.world import ROOT

VERBS = (("status",), ("stop",), ("stop", "--usecase", "titanic"), ("serve",), ("serve", "--detach"))
each = pytest.mark.parametrize("verb", VERBS, ids=" ".join)
# Without what lets root look everywhere; nobody else has it.
UNPRIVILEGED = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
needs_setpriv = pytest.mark.skipif(
    bool(UNPRIVILEGED) and shutil.which("setpriv") is None, reason="setpriv is not installed, and root sees everything"
)


def sentence(home: Path, verb: tuple[str, ...]) -> str:
    """What a user without privileges is told."""
    command = [*UNPRIVILEGED, sys.executable, "-m", "lifeboat.cli.main", *verb]
    environment = {**os.environ, "LIFEBOAT_HOME": str(home)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done
    return done.stderr.removeprefix("lifeboat: ").rstrip("\n")


@needs_setpriv
@each
def test_a_file_is_no_home(home: Path, verb: tuple[str, ...]) -> None:
    home.write_text("")
    remedy = "choose one of your own by --home or LIFEBOAT_HOME"
    assert sentence(home, verb) == f"the home {home} is no directory; {remedy}"
    assert sentence(home / "below", verb) == f"the home {home}/below cannot be looked at: Not a directory; {remedy}"


@needs_setpriv
@each
def test_a_home_that_cannot_be_looked_into(home: Path, verb: tuple[str, ...]) -> None:
    home.mkdir()
    home.chmod(0)
    told = sentence(home, verb)
    assert told == f"the home {home} cannot be looked into, its mode is d---------: make it yours with chmod u+rwx"


@needs_setpriv
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
@pytest.mark.parametrize("mode", [0o755, 0o700])
@each
def test_a_home_of_another_user_is_named_with_its_owner(home: Path, verb: tuple[str, ...], mode: int) -> None:
    home.mkdir(mode)
    os.chown(home, 54321, 54321)
    assert sentence(home, verb).startswith(f"the home {home} belongs to user 54321, and so does what runs there; ")
