"""`python -m lifeboat.server.fetch`: a bundle from the store into the pod, or a sentence and nothing to serve."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lifeboat.config.errors import BundleError
from lifeboat.model.bundle import MANIFEST, MODEL, open_bundle


class Pod:
    """A store with one bundle, and the program."""

    def __init__(self, bundle: Path, folder: Path) -> None:
        opened = open_bundle(bundle)
        self.target = folder / "target"
        self.stored = folder / "store" / "bundles" / opened.usecase / opened.digest
        shutil.copytree(bundle, self.stored)
        store, target = str(folder / "store"), str(self.target)
        self.chosen = {"STORE": store, "USECASE": opened.usecase, "DIGEST": opened.digest, "TARGET": target}

    def fetch(self, **changed: str) -> tuple[int, str]:
        """Exit code and the message of the last log line."""
        settings = {f"LIFEBOAT_FETCH_{name}": text for name, text in (self.chosen | changed).items()}
        done = subprocess.run(
            [sys.executable, "-m", "lifeboat.server.fetch"], env={**os.environ, **settings}, capture_output=True,
            text=True, check=False, timeout=60,
        )  # fmt: skip
        lines = (done.stdout + done.stderr).strip().splitlines()
        return done.returncode, str(json.loads(lines[-1])["message"])


@pytest.fixture
def pod(bundle: Path, tmp_path: Path) -> Pod:
    return Pod(bundle, tmp_path)


def test_the_bundle_comes_whole(pod: Pod) -> None:
    assert pod.fetch() == (0, "the bundle is here")
    assert open_bundle(pod.target).digest == pod.chosen["DIGEST"]
    assert pod.fetch() == (0, "the bundle is here")


def test_a_bundle_of_another_digest_is_refused(pod: Pod) -> None:
    other = "0" * 64
    shutil.copytree(pod.stored, pod.stored.with_name(other))
    code, sentence = pod.fetch(DIGEST=other)
    assert code == 1
    name = pod.chosen["USECASE"]
    assert f"holds bundle {pod.chosen['DIGEST']} of {name}, not {other} of {name} as its address says" in sentence


def test_an_altered_bundle_is_refused(pod: Pod) -> None:
    model = pod.stored / MODEL
    model.write_bytes(model.read_bytes()[:-1])
    code, sentence = pod.fetch()
    assert (code, "was altered: sha256 is" in sentence) == (1, True)


@pytest.mark.parametrize("missing", [MODEL, MANIFEST])
def test_a_missing_file_is_named(pod: Pod, missing: str) -> None:
    (pod.stored / missing).unlink()
    code, sentence = pod.fetch()
    assert code == 1
    assert f"{missing} cannot be read: No such file" in sentence
    with pytest.raises(BundleError):
        open_bundle(pod.target)


@pytest.mark.parametrize("name", ["STORE", "USECASE", "DIGEST", "TARGET"])
def test_a_setting_left_out_is_named(pod: Pod, name: str) -> None:
    assert pod.fetch(**{name: ""}) == (1, f"no {name.lower()}: give LIFEBOAT_FETCH_{name}")


def test_an_unknown_setting_is_refused(pod: Pod) -> None:
    code, sentence = pod.fetch(BUNDEL="x")
    assert (code, sentence.partition(";")[0]) == (1, "LIFEBOAT_FETCH_BUNDEL is no setting")
