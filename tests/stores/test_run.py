"""The whole way on SeaweedFS: the table comes from it, bundles and labelled rows go to it, pods fetch from it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_breast_cancer

from lifeboat.data.labelled.labelled_rows import read_labelled
from lifeboat.model.bundle import FILES, MANIFEST, open_bundle
from lifeboat.preprocess.step import read_summary
from lifeboat.registry.storage import S3Storage
from tests.detector.world import Detector, add_bundle, detector, people, prediction, truth
from tests.pipeline.test_run import Laptop
from tests.server.world import TINY, call
from tests.stores.relay import relaying
from tests.stores.weed import ROOT, Weed
from tests.usecases import breast_cancer

TABLE = "s3://tables/masses/train.csv"
RUN = ("run", "--usecase", "tests.usecases.breast_cancer", "--data", TABLE)
ROWS = 40


@pytest.fixture(scope="class")
def store(server: Weed, tmp_path_factory: pytest.TempPathFactory) -> S3Storage:
    """The bucket of bundles and labelled rows; another one holds the table."""
    endpoint = server.endpoint()
    for bucket in ("lifeboat", "tables"):
        endpoint.client.make_bucket(bucket)
    table = breast_cancer.write_data(tmp_path_factory.mktemp("tables") / "masses.csv")
    endpoint.storage("tables").upload(table, "masses/train.csv")
    return endpoint.storage("lifeboat", "models")


@pytest.fixture(scope="class")
def laptop(server: Weed, store: S3Storage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    made = Laptop(tmp_path_factory.mktemp("home"))
    s3 = {f"LIFEBOAT_{name}": text for name, text in server.endpoint().settings().items()}
    made.environment |= {"LIFEBOAT_STORE": store.url, **s3}
    yield made
    made.lifeboat("stop")


class TestRun:
    """Tells one story in order."""

    def test_a_run_from_s3_to_s3_deploys(self, laptop: Laptop, store: S3Storage) -> None:
        said = laptop.lifeboat(*RUN, "--require-deploy")
        assert "Deployed breast-cancer version 1, the new champion." in said
        bundle = open_bundle(laptop.output("train/bundle"))
        prefix = f"bundles/breast-cancer/{bundle.digest}"
        assert store.keys() == sorted(f"{prefix}/{name}" for name in (*FILES, MANIFEST))
        assert read_summary(laptop.output("preprocess/train_rows")).source == TABLE

    def test_a_pod_fetches_the_bundle(self, laptop: Laptop, server: Weed, store: S3Storage, tmp_path: Path) -> None:
        digest = open_bundle(laptop.output("train/bundle")).digest
        chosen = {
            "STORE": store.url, "USECASE": "breast-cancer", "DIGEST": digest, "TARGET": str(tmp_path / "bundle"),
            **server.endpoint().settings(),
        }  # fmt: skip
        assert fetch(chosen) == (0, "the bundle is here")
        assert open_bundle(tmp_path / "bundle").digest == digest
        code, sentence = fetch(chosen | {"DIGEST": "0" * 64, "TARGET": str(tmp_path / "none")})
        assert (code, "NoSuchKey" in sentence, server.url in sentence) == (1, True, True), sentence
        code, sentence = fetch(chosen | {"S3_SECRET_KEY": "guessed", "TARGET": str(tmp_path / "none")})
        assert (code, "SignatureDoesNotMatch" in sentence) == (1, True), sentence

    def test_what_was_answered_and_proven_is_trained_on_next(
        self, laptop: Laptop, server: Weed, store: S3Storage
    ) -> None:
        sent, exported = proven(laptop), 0
        deadline = time.monotonic() + 60
        while exported < sent:
            assert time.monotonic() < deadline
            time.sleep(0.5)
            exported = call(f"http://127.0.0.1:{laptop.settings.detector_port}/drift").json["feedback"]["exported"]
        before = store.keys()
        assert sum(key.startswith("labelled/breast-cancer/date=") for key in before) >= 1
        with relaying(server.url) as relay:
            laptop.environment["LIFEBOAT_S3_ENDPOINT"] = relay.url
            said = laptop.lifeboat(*RUN)
        assert f"read {sent} labelled rows from feedback, 0 break the schema" in said
        # The new bundle, each file once, its manifest last; and nothing that was there.
        prefix = f"bundles/breast-cancer/{open_bundle(laptop.output('train/bundle')).digest}"
        assert relay.written() == [f"/lifeboat/models/{prefix}/{name}" for name in (*FILES, MANIFEST)]
        assert set(store.keys()) == {*before, *(f"{prefix}/{name}" for name in (*FILES, MANIFEST))}


def proven(laptop: Laptop) -> int:
    """Asks the endpoint about some masses, tells it the truth of each, and gives their number."""
    url = f"http://127.0.0.1:{laptop.settings.port}/api/v1.0"
    table = load_breast_cancer()
    for row, label in zip(table.data[:ROWS].tolist(), table.target[:ROWS].tolist(), strict=True):
        # Not a row of the table: one that is told again would be dropped as known.
        cells = [min(value * 1.01, 10_000) for value in row]
        answer = call(f"{url}/predictions", {"data": {"names": list(breast_cancer.NAMES), "ndarray": [cells]}})
        assert answer.status == 200, answer.body
        told = {"response": answer.json, "truth": {"data": {"ndarray": [label]}}}
        assert call(f"{url}/feedback", told).status == 200
    return ROWS


def fetch(chosen: dict[str, str]) -> tuple[int, str]:
    """Runs the init container's program; its exit code and the message of its last line."""
    settings = {f"LIFEBOAT_FETCH_{name}": text for name, text in chosen.items()}
    words = [sys.executable, "-m", "lifeboat.server.fetch"]
    done = subprocess.run(words, cwd=ROOT, env={**os.environ, **settings}, capture_output=True, text=True, timeout=60)
    return done.returncode, str(json.loads((done.stdout + done.stderr).strip().splitlines()[-1])["message"])


class Watching:
    """A bucket with the tiny model's bundle, and the words of a detector that watches it."""

    def __init__(self, server: Weed, bucket: str, folder: Path) -> None:
        self.storage = server.endpoint().storage(bucket)
        self.digest = add_bundle(folder / "local")
        for path in sorted((folder / "local").rglob("*")):
            if path.is_file():
                self.storage.upload(path, path.relative_to(folder / "local").as_posix())
        shutil.rmtree(folder / "local")
        self.environment = {f"LIFEBOAT_DRIFT_{name}": text for name, text in server.endpoint().settings().items()}
        self.database = folder / "drift.db"

    def detector(self) -> Any:
        flags = ("--export-seconds", "0.2")
        return detector(self.storage.url, self.database, *flags, env=self.environment)

    def labelled(self) -> list[tuple[str, int]]:
        """Request and truth of each labelled row in the bucket."""
        rows = read_labelled(self.storage, "tiny", TINY).to_pylist()
        return sorted((row["__puid"], row["fate"]) for row in rows)

    def tell(self, process: Detector, numbers: range) -> None:
        for number in numbers:
            row = {**people(1, seed=number)[0], "id": number + 1}
            process.post([*prediction(self.digest, [row], f"p{number:03}"), truth(f"p{number:03}", number % 2)])


@pytest.fixture
def watching(server: Weed, tmp_path: Path) -> Iterator[Watching]:
    with server.endpoint().bucket() as bucket:
        yield Watching(server, bucket, tmp_path)


def expected(count: int) -> list[tuple[str, int]]:
    return [(f"p{number:03}", number % 2) for number in range(count)]


def test_truths_wait_while_the_store_is_away_and_none_is_lost(server: Weed, watching: Watching) -> None:
    with watching.detector() as process:
        watching.tell(process, range(10))
        process.until(lambda report: report["feedback"]["exported"] == 10)
        server.kill()
        try:
            watching.tell(process, range(10, 30))
            process.until(lambda _: "labelled rows wait: they cannot be written" in process.log.read_text())
            [line] = {line for line in process.log.read_text().splitlines() if "labelled rows wait" in line}
            assert f"{watching.storage.url}/labelled/tiny/" in line or watching.storage.url in line
            assert f"{server.url} does not answer" in line
            assert process.report()["feedback"]["exported"] == 10
        finally:
            server.start()
        process.until(lambda report: report["feedback"]["exported"] == 30)
    assert watching.labelled() == expected(30)


def test_truths_outlive_both_the_detector_and_the_store(server: Weed, watching: Watching) -> None:
    with watching.detector() as process:
        watching.tell(process, range(5))
        process.until(lambda report: report["feedback"]["exported"] == 5)
        server.kill()
        try:
            watching.tell(process, range(5, 12))
            process.settled()
            process.kill()
        finally:
            server.start()
    with watching.detector() as process:
        process.until(lambda report: report["feedback"]["exported"] == 12)
    assert watching.labelled() == expected(12)
