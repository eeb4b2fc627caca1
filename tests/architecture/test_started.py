"""However the tests are started, what they start behaves as if by hand."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
THIS = Path(__file__).relative_to(ROOT)
DISPOSITIONS = (
    "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler, signal.getsignal(15))"
)


def test_a_child_can_be_interrupted_and_ended() -> None:
    said = subprocess.run([sys.executable, "-c", DISPOSITIONS], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["True", str(int(signal.SIG_DFL))]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_so_it_can_where_the_tests_were_started_with_the_signal_ignored(number: signal.Signals) -> None:
    """As a shell does with SIGINT for what it puts into the background of a script."""
    test = f"{THIS}::test_a_child_can_be_interrupted_and_ended"
    before = signal.signal(number, signal.SIG_IGN)
    try:
        again = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
    finally:
        signal.signal(number, before)
    said, _ = again.communicate(timeout=120)
    assert again.returncode == 0, said
