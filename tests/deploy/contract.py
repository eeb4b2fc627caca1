"""What holds for every target, with real model servers and a real registry.

`test_local.py` runs these tests on the laptop's target, `tests/cluster` runs them on Kubernetes; each has a `world`.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from lifeboat.config.errors import BundleError, DeployError, GateError, LifeboatError, RegistryError
from lifeboat.deploy.override import Override
from lifeboat.deploy.step import promote, rollback
from lifeboat.registry.registry import CHAMPION, PREVIOUS
from tests.deploy.conftest import World
from tests.server.world import ROW, call, ndarray


def test_a_bundle_that_passed_serves_and_is_the_champion(world: World) -> None:
    said: list[str] = []
    bundle = world.bundle(0.1)
    shipped = world.deploy(bundle, world.judged(bundle), said.append)
    assert (shipped.digest, shipped.version) == (bundle.digest, "1")
    answer = call(f"{shipped.url}/api/v1.0/predictions", ndarray(list(ROW.values()), names=list(ROW)))
    assert answer.status == 200
    assert answer.survived[0] == pytest.approx(0.335, abs=1e-6)
    assert world.champion == world.serving == bundle.digest
    assert any("golden" in line for line in said)
    assert world.rollouts("1") == ("passed", [said])


def test_what_a_rollout_measured_is_on_its_page(world: World) -> None:
    world.ship(0.1)
    world.ship(0.2)
    [page] = world.rollout_pages("2")
    measured = page.partition("What was measured")[2].partition("Its course")[0]
    for words in ("Golden requests, against the bundle", "at most 0.0001", "against the version that serves"):
        assert words in measured


def test_the_next_champion_takes_over_without_a_failed_request(world: World) -> None:
    first = world.ship(0.1)
    seen: list[tuple[int, str]] = []
    done = threading.Event()

    def ask_all_the_time() -> None:
        while not done.is_set():
            answer = call(f"{world.url}/api/v1.0/predictions", ndarray(list(ROW.values()), names=list(ROW)))
            seen.append((answer.status, answer.json["meta"]["tags"]["bundle_digest"]))

    client = threading.Thread(target=ask_all_the_time)
    client.start()
    try:
        second = world.ship(0.2)
    finally:
        done.set()
        client.join()
    assert {status for status, _ in seen} == {200}
    digests = [digest for _, digest in seen]
    assert set(digests) <= {first.digest, second.digest}
    assert digests[0] == first.digest
    assert world.champion == world.serving == second.digest
    previous = world.registry.aliased("tiny", PREVIOUS)
    assert previous is not None
    assert previous.digest == first.digest


def test_rollbacks_go_further_back_each_time_and_forth_by_number(world: World) -> None:
    first, second, third = world.ship(0.1), world.ship(0.2), world.ship(0.3)
    rollback("tiny", world.registry, world.target, lambda _: None)
    assert world.champion == world.serving == second.digest
    rollback("tiny", world.registry, world.target, lambda _: None)
    assert world.champion == world.serving == first.digest
    with pytest.raises(RegistryError, match="tiny has no champion before version 1 to go back to"):
        rollback("tiny", world.registry, world.target, lambda _: None)
    rollback("tiny", world.registry, world.target, lambda _: None, to="3")
    assert world.champion == world.serving == third.digest
    assert [len(world.rollouts(version)[1]) for version in "123"] == [2, 2, 2]


def test_rollback_without_an_earlier_champion_says_so(world: World) -> None:
    world.ship(0.1)
    with pytest.raises(RegistryError, match="tiny has no champion before version 1"):
        rollback("tiny", world.registry, world.target, lambda _: None)


def test_a_refused_version_promoted_by_hand_serves_and_is_on_record(world: World) -> None:
    first = world.ship(0.1)
    refused = world.bundle(0.2)
    world.judged(refused, passed=False, champion=first.digest)
    shipped = promote(
        "tiny", "2", Override.now("it is fairer", "ann@desk"), world.registry, world.target, lambda _: None
    )
    assert (shipped.version, shipped.digest) == ("2", refused.digest)
    assert world.champion == world.serving == refused.digest
    version = world.registry.aliased("tiny", CHAMPION)
    assert version is not None
    assert version.tags["promoted_because"] == "it is fairer"
    rollback("tiny", world.registry, world.target, lambda _: None)
    assert world.champion == world.serving == first.digest


def test_a_version_promoted_by_hand_that_breaks_its_golden_answers_never_serves(world: World) -> None:
    first = world.ship(0.1)
    world.judged(world.bundle(0.2, golden_off_by=0.2), passed=False, champion=first.digest)
    with pytest.raises(DeployError, match="golden"):
        promote("tiny", "2", Override.now("hurry", "ann@desk"), world.registry, world.target, lambda _: None)
    assert world.serving == world.champion == first.digest
    version = world.registry.overview("tiny").find("2")
    assert version is not None
    assert "promoted_because" not in version.tags


def refused(world: World, bundle_bias: float, verdict: Path, error: type[Exception], words: str) -> None:
    """Nothing starts and nothing moves."""
    before = world.serving, world.champion
    with pytest.raises(error, match=words):
        world.deploy(world.bundle(bundle_bias), verdict)
    assert (world.serving, world.champion) == before
    assert not world.candidates_running


def test_a_failed_verdict_is_refused_with_its_reason(world: World) -> None:
    verdict = world.judged(world.bundle(0.1), passed=False)
    (world.folder / "bundle-0.1-0.0").rename(world.folder / "moved")
    refused(world, 0.1, verdict, GateError, "refused bundle .*roc_auc at least 0.8: as asked")


def test_another_bundles_verdict_is_refused(world: World) -> None:
    verdict = world.judged(world.bundle(0.1))
    refused(world, 0.2, verdict, GateError, "the verdict belongs to bundle")


def test_a_missing_verdict_is_refused(world: World) -> None:
    refused(world, 0.2, world.folder / "none.json", GateError, "no verdict: .* cannot be read")


def test_a_verdict_that_contradicts_itself_is_refused(world: World) -> None:
    verdict = world.judged(world.bundle(0.1), passed=False)
    verdict.write_text(verdict.read_text().replace('"passed": false,\n "criteria"', '"passed": true,\n "criteria"'))
    (world.folder / "bundle-0.1-0.0").rename(world.folder / "moved")
    refused(world, 0.1, verdict, GateError, "contradicts its own criteria")


def test_a_bundle_that_was_never_registered_is_refused(world: World) -> None:
    verdict = world.judged(world.bundle(0.1))
    digest = world.bundle(0.3).digest
    text = verdict.read_text().replace(world.champion or verdict_digest(verdict), digest)
    verdict.write_text(text)
    (world.folder / "bundle-0.3-0.0").rename(world.folder / "moved")
    refused(world, 0.3, verdict, RegistryError, "is not registered")


def verdict_digest(path: Path) -> str:
    return path.read_text().split('"bundle": "')[1].split('"')[0]


def test_a_flipped_bit_is_refused_and_the_old_version_keeps_serving(world: World) -> None:
    world.ship(0.1)
    bundle = world.bundle(0.2)
    verdict = world.judged(bundle, champion=world.champion)
    model = bytearray((bundle.directory / "model.onnx").read_bytes())
    model[len(model) // 2] ^= 1
    (bundle.directory / "model.onnx").write_bytes(bytes(model))
    before = world.serving
    with pytest.raises(BundleError, match=r"model\.onnx was altered"):
        world.deploy(bundle, verdict)
    assert world.serving == world.champion == before


def test_a_champion_that_changed_since_the_verdict_is_refused(world: World) -> None:
    late = world.bundle(0.3)
    verdict = world.judged(late, champion=None)
    first = world.ship(0.1)
    with pytest.raises(RegistryError, match="the champion of tiny changed since"):
        world.deploy(late, verdict)
    assert world.serving == world.champion == first.digest


def test_a_server_that_breaks_its_golden_answers_never_serves(world: World) -> None:
    first = world.ship(0.1)
    bundle = world.bundle(0.2, golden_off_by=0.2)
    verdict = world.judged(bundle, champion=first.digest)
    said: list[str] = []
    with pytest.raises(DeployError, match="golden") as caught:
        world.deploy(bundle, verdict, said.append)
    assert world.serving == world.champion == first.digest
    assert not world.candidates_running
    why = f"failed: {caught.value}"
    assert world.rollouts("2") == (why, [[*said, why]])


@pytest.fixture
def impatient() -> Iterator[None]:
    """MLflow waits 20 s for a locked SQLite file, as its code says and no setting does; here not so long."""

    def sooner(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
        return statement.replace("busy_timeout = 20000", "busy_timeout = 500"), parameters

    event.listen(Engine, "before_cursor_execute", sooner, retval=True)
    yield
    event.remove(Engine, "before_cursor_execute", sooner)


@pytest.mark.usefixtures("impatient")
def test_a_registry_that_fails_at_the_end_brings_the_old_version_back(world: World) -> None:
    first = world.ship(0.1)
    bundle = world.bundle(0.2)
    verdict = world.judged(bundle, champion=first.digest)
    lock = sqlite3.connect(world.settings.home_path / "mlflow.db")
    said: list[str] = []

    def lock_at_the_switch(line: str) -> None:
        said.append(line)
        if "taken over" in line:
            lock.execute("BEGIN EXCLUSIVE")

    try:
        with pytest.raises(RegistryError, match="locked"):
            world.deploy(bundle, verdict, lock_at_the_switch)
    finally:
        lock.close()
    assert said[-2] == "the old version serves again"
    assert said[-1].startswith("the course of this rollout is not in the registry: the model registry ")
    assert world.serving == world.champion == first.digest


def test_a_first_deployment_overtaken_at_the_end_serves_nothing(world: World) -> None:
    bundle, other = world.bundle(0.1), world.bundle(0.2)
    verdict = world.judged(bundle)
    world.judged(other)
    overtaker = world.registry.find("tiny", other.digest)
    assert overtaker is not None

    def overtake_at_the_switch(line: str) -> None:
        if "public port" in line:
            world.registry.promote(overtaker, expected=None)

    with pytest.raises(RegistryError, match=f"the champion of tiny is {other.digest[:12]} by now"):
        world.deploy(bundle, verdict, overtake_at_the_switch)
    assert world.serving is None
    assert world.champion == other.digest


def test_of_two_deployments_at_once_one_wins_and_the_other_says_so(world: World) -> None:
    first = world.ship(0.1)
    loser = world.bundle(0.3)
    lost = world.judged(loser, champion=first.digest)
    said, decided = list[str](), threading.Event()
    refusal: list[str] = []

    def hear(line: str) -> None:
        said.append(line)
        decided.set()  # it waits

    def deploy_another() -> None:
        try:
            world.deploy(loser, lost, hear)
        except LifeboatError as error:
            refusal.append(str(error))
        decided.set()

    other = threading.Thread(target=deploy_another)

    def begin_another_in_the_middle(line: str) -> None:
        if "golden" in line and other.ident is None:
            other.start()
            assert decided.wait(30)

    bundle = world.bundle(0.2)
    world.deploy(bundle, world.judged(bundle, champion=first.digest), begin_another_in_the_middle)
    other.join()
    [sentence] = refusal
    if "another deployment is in progress" not in sentence:
        assert said == ["another rollout of tiny is under way: waiting for its end"]
        changed = f"the champion of tiny changed since this bundle was judged against {first.digest[:12]}"
        assert sentence == f"{changed}: run the pipeline again"
    assert world.serving == world.champion == bundle.digest
