"""Who is the champion: rollbacks that go back through history, and promotions by hand on record."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest

from lifeboat.config.errors import BundleError, RegistryError, SettingsError
from lifeboat.config.settings import Settings
from lifeboat.deploy import step
from lifeboat.deploy.override import Override
from lifeboat.registry.registry import CHAMPION, PREVIOUS, Registry
from lifeboat.registry.versions import Overview, Version
from tests.registry.world import Target, aliases, make_bundle, register

CARD = "<!doctype html>\n<html>\n<body>\n<h1>tiny</h1>\n</body>\n</html>\n"
REMEDY = "to ship it in spite of that: lifeboat promote 3 --because TEXT"
WHY = Override.now("the new <rules> | of 2027", "ann@desk")


@pytest.fixture
def champions(registry: Registry, versions: list[Version]) -> list[Version]:
    """Versions 1 to 3, each promoted over the one before."""
    for version, before in zip(versions, [None, *versions], strict=False):
        registry.promote(version, expected=before.digest if before else None)
    return versions


def roll_back(registry: Registry, to: str | None = None) -> list[str]:
    """What a rollback says."""
    said: list[str] = []
    step.rollback("tiny", registry, Target(registry), said.append, to=to)
    return said


def test_a_rollback_ships_the_version_and_then_moves_the_alias(registry: Registry, champions: list[Version]) -> None:
    target = Target(registry)
    assert step.rollback("tiny", registry, target, lambda _: None).version == "2"
    assert target.seen == [("2", champions[1].digest, ("3", "2"))]
    assert aliases(registry) == ("2", "1")


def test_each_rollback_goes_further_back_and_the_last_one_says_what_there_is(
    registry: Registry, champions: list[Version]
) -> None:
    first, second, _ = champions
    promoted = {one.version: one.promoted_at[:19] for one in registry.overview("tiny").versions}
    said = roll_back(registry)
    assert said[0] == (
        f"back from version 3 (bundle {champions[2].digest[:12]}, promoted {promoted['3']}Z) "
        f"to version 2 (bundle {second.digest[:12]}, promoted {promoted['2']}Z)"
    )
    assert (
        said[-1] == f"the next rollback would go to version 1 (bundle {first.digest[:12]}, promoted {promoted['1']}Z)"
    )
    assert roll_back(registry)[-1] == "no rollback leads further back"
    assert aliases(registry) == ("1", None)
    with pytest.raises(RegistryError) as caught:
        roll_back(registry)
    assert str(caught.value) == ("tiny has no champion before version 1 to go back to, only 3, 2 (rollback --to)")
    assert aliases(registry) == ("1", None)


def test_after_a_rollback_and_a_new_champion_no_rollback_leads_to_what_was_rolled_back(
    registry: Registry, champions: list[Version], tmp_path: Path
) -> None:
    roll_back(registry)
    newest = register(registry, make_bundle(tmp_path / "newest", 0.09))
    registry.promote(newest, expected=champions[1].digest)
    assert aliases(registry) == ("4", "2")
    roll_back(registry)
    roll_back(registry)
    assert aliases(registry) == ("1", None)


def test_a_rollback_to_a_version_leaves_out_all_after_it(registry: Registry, champions: list[Version]) -> None:
    roll_back(registry, to="1")
    assert aliases(registry) == ("1", None)
    with pytest.raises(RegistryError, match="no champion before version 1"):
        roll_back(registry)


def test_only_by_its_number_a_rollback_goes_to_a_version_that_was_rolled_back(
    registry: Registry, champions: list[Version]
) -> None:
    for _ in range(2):
        roll_back(registry)
    assert roll_back(registry, to="3")[-1].startswith("the next rollback would go to version 1 ")
    assert aliases(registry) == ("3", "1")
    assert [one.withdrawn for one in registry.overview("tiny").champions] == [False, True, False]


def test_a_version_promoted_again_is_no_longer_one_that_was_rolled_back(
    registry: Registry, champions: list[Version]
) -> None:
    roll_back(registry, to="1")
    again = registry.find("tiny", champions[1].digest)
    assert again is not None
    registry.promote(again, expected=champions[0].digest)
    assert aliases(registry) == ("2", "1")
    roll_back(registry)
    assert aliases(registry) == ("1", None)


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        ("9", "tiny has no version 9; there are: 3, 2, 1"),
        ("2", "version 2 is the champion of tiny, there is nothing to go back to"),
        ("3", f"version 3 of tiny never was the champion, only 1 (rollback --to); {REMEDY}"),
    ],
)
def test_a_rollback_to_what_never_was_the_champion_is_refused_with_what_there_is(
    registry: Registry, versions: list[Version], number: str, sentence: str
) -> None:
    registry.promote(versions[0], expected=None)
    registry.promote(versions[1], expected=versions[0].digest)
    with pytest.raises(RegistryError) as caught:
        roll_back(registry, to=number)
    assert str(caught.value) == sentence


def test_a_rollback_without_any_champion_says_so(registry: Registry) -> None:
    with pytest.raises(RegistryError, match="^tiny has no champion, so there is nothing to go back from$"):
        roll_back(registry)


def test_a_registry_from_before_promotions_were_noted_goes_back_by_its_aliases(
    registry: Registry, versions: list[Version]
) -> None:
    client = mlflow.MlflowClient(registry.tracking)
    assert registry.overview("tiny").champions == []
    client.set_registered_model_alias("tiny", CHAMPION, "2")
    client.set_registered_model_alias("tiny", PREVIOUS, "3")
    roll_back(registry)
    assert aliases(registry) == ("3", None)


def test_a_rollback_that_is_overtaken_moves_nothing(registry: Registry, champions: list[Version]) -> None:
    with pytest.raises(RegistryError) as caught:
        registry.go_back(champions[0], expected=champions[1].digest)
    assert str(caught.value) == (
        f"the champion of tiny is {champions[2].digest[:12]} by now, it was {champions[1].digest[:12]} when this "
        "began: see lifeboat status, and try again"
    )
    assert aliases(registry) == ("3", "2")


def test_the_overview_names_every_version_and_alias(registry: Registry, champions: list[Version]) -> None:
    assert registry.overview("other") == Overview()
    found = registry.overview("tiny")
    assert [one.version for one in found.versions] == ["3", "2", "1"]
    assert (found.champion, found.previous, found.challenger) == (champions[2], champions[1], champions[2])
    assert found.before(champions[2]) == [champions[1], champions[0]]
    assert found.champion is not None
    assert found.champion.passed


def test_the_overview_of_a_new_home_is_empty_and_makes_nothing(tmp_path: Path) -> None:
    assert Registry(Settings(home=str(tmp_path / "home"))).overview("tiny") == Overview()
    assert list(tmp_path.iterdir()) == []


def with_card(registry: Registry, bundle_dir: Path, *, passed: bool) -> Version:
    """A version whose run has both cards."""
    bundle = make_bundle(bundle_dir, 0.3)
    reports = bundle_dir.parent / f"{bundle_dir.name} reports"
    reports.mkdir()
    (reports / "model-card.html").write_text(CARD)
    return register(registry, bundle, passed=passed)


def test_a_promotion_by_hand_ships_a_refused_version_and_is_on_record(
    registry: Registry, versions: list[Version], tmp_path: Path
) -> None:
    registry.promote(versions[0], expected=None)
    refused, target = with_card(registry, tmp_path / "refused", passed=False), Target(registry)
    said: list[str] = []
    assert step.promote("tiny", "4", WHY, registry, target, said.append).version == "4"
    assert target.seen == [("4", refused.digest, ("1", None))]
    assert aliases(registry) == ("4", "1")
    assert said[0] == (
        f"version 4 (bundle {refused.digest[:12]}) is promoted by hand, its gate "
        "failed: roc_auc: 0.7000, asked: at least 0.8"
    )
    client = mlflow.MlflowClient(registry.tracking)
    for tags in (client.get_model_version("tiny", "4").tags, client.get_run(refused.run_id).data.tags):
        assert tags["promoted_because"] == "the new <rules> | of 2027"
        assert tags["promoted_by"] == "ann@desk"
        assert tags["promoted_at"].startswith("20")
        assert tags["gate"].startswith("failed: ")


def test_the_card_of_a_version_promoted_by_hand_says_so_and_the_old_one_is_kept(
    registry: Registry, tmp_path: Path
) -> None:
    version = with_card(registry, tmp_path / "refused", passed=False)
    step.promote("tiny", "1", WHY, registry, Target(registry), lambda _: None)
    texts = {
        item.path: mlflow.artifacts.load_text(f"runs:/{version.run_id}/{item.path}")
        for item in mlflow.MlflowClient(registry.tracking).list_artifacts(version.run_id, "reports")
    }
    page, text = texts.pop("reports/model-card.html"), texts.pop("reports/model-card.md")
    moment = f"{WHY.at[:19].replace('T', ' ')} UTC"
    sentence = f"Promoted by hand on {moment} by ann@desk, whatever the gate said below:"
    assert page.startswith("<!doctype html>\n<html>\n<body>\n<div")
    assert f"<b>{sentence}</b> the new &lt;rules&gt; | of 2027</div>\n<h1>tiny</h1>" in page
    assert text == f"> **{sentence}** the new &lt;rules&gt; \\| of 2027\n\n# tiny\n"
    assert sorted(texts.values()) == ["# tiny\n", CARD]


def test_a_version_that_passes_its_gate_later_no_longer_counts_as_promoted_by_hand(
    registry: Registry, versions: list[Version]
) -> None:
    step.promote("tiny", "1", WHY, registry, Target(registry), lambda _: None)
    registry.promote(versions[1], expected=versions[0].digest)
    again = registry.find("tiny", versions[0].digest)
    assert again is not None
    assert again.tags["promoted_by"] == "ann@desk"
    registry.promote(again, expected=versions[1].digest)
    assert mlflow.MlflowClient(registry.tracking).get_model_version("tiny", "1").tags.keys() & {
        "promoted_because", "promoted_by"
    } == set()  # fmt: skip


def test_a_promotion_by_hand_of_the_champion_or_an_unknown_version_is_refused(
    registry: Registry, versions: list[Version]
) -> None:
    registry.promote(versions[0], expected=None)
    target = Target(registry)
    with pytest.raises(RegistryError, match="^version 1 is the champion of tiny already$"):
        step.promote("tiny", "1", WHY, registry, target)
    with pytest.raises(RegistryError, match="^tiny has no version 7; there are: 3, 2, 1$"):
        step.promote("tiny", "7", WHY, registry, target)
    with pytest.raises(RegistryError, match="^other has no version 1; there are: none$"):
        step.promote("other", "1", WHY, registry, target)
    assert target.seen == []


def test_a_promotion_by_hand_of_a_bundle_that_is_not_whole_is_refused(
    registry: Registry, versions: list[Version]
) -> None:
    (registry.bundle(versions[1]).directory / "golden.json").unlink()
    target = Target(registry)
    with pytest.raises(BundleError, match=r"golden\.json cannot be read"):
        step.promote("tiny", "2", WHY, registry, target)
    assert (target.seen, aliases(registry)) == ([], (None, None))


def test_a_promotion_by_hand_that_is_overtaken_leaves_no_record(registry: Registry, versions: list[Version]) -> None:
    class Overtaken(Target):
        def roll_out(self, bundle: object, version: Version, commit: object, say: object) -> str:
            self.registry.promote(versions[1], expected=None)
            return super().roll_out(bundle, version, commit, say)

    with pytest.raises(RegistryError, match=r"it was none when this began: see lifeboat status, and try again"):
        step.promote("tiny", "3", WHY, registry, Overtaken(registry), lambda _: None)
    assert aliases(registry) == ("2", None)
    assert "promoted_by" not in mlflow.MlflowClient(registry.tracking).get_model_version("tiny", "3").tags


@pytest.mark.parametrize(("because", "sentence"), [(" \n", "that given is empty"), ("x" * 501, "has 501 characters")])
def test_a_promotion_by_hand_without_a_reason_or_with_a_long_one_is_refused(because: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        Override.now(because, "ann@desk")


def test_a_reason_is_kept_on_one_line() -> None:
    assert Override.now(" two\nlines\t", "ann@desk").because == "two lines"
