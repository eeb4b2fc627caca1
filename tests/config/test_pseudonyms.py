"""What is kept in place of a personal key."""

from __future__ import annotations

import hashlib
import hmac
import stat
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

from lifeboat.config.errors import SettingsError
from lifeboat.config.pseudonyms import LONGEST, Pseudonyms, ensure_key, is_pseudonym, read_pseudonyms
from lifeboat.config.settings import Settings

KEY = b"k" * 32


def test_a_pseudonym_is_the_keyed_hash_of_column_and_value() -> None:
    expected = hmac.new(KEY, b"Ticket\0A/5 21171", hashlib.sha256).digest()[:16]
    found = Pseudonyms(KEY).of("Ticket", "A/5 21171")
    assert found == "~" + urlsafe_b64encode(expected).decode().rstrip("=")
    assert is_pseudonym(found)
    assert len(found) == LONGEST


def test_it_is_the_same_each_time_and_another_for_another_column_or_key() -> None:
    one = Pseudonyms(KEY)
    assert one.of("a", "x") == Pseudonyms(KEY).of("a", "x")
    assert len({one.of("a", "x"), one.of("b", "x"), one.of("a", "y"), Pseudonyms(b"l" * 32).of("a", "x")}) == 4


def test_a_value_that_looks_like_a_pseudonym_gets_one_of_its_own_and_nothing_stays_nothing() -> None:
    """Whoever has got hold of one cannot be taken for its owner by sending it."""
    one = Pseudonyms(KEY)
    assert one.of("a", one.of("a", "x")) not in (one.of("a", "x"), "")
    assert Pseudonyms().of("a", one.of("a", "x")) == ""
    assert one.of("a", "") == ""


def test_a_key_is_told_from_another_by_its_fingerprint() -> None:
    assert Pseudonyms(KEY).fingerprint == Pseudonyms(KEY).fingerprint != Pseudonyms(b"l" * 32).fingerprint
    assert Pseudonyms().fingerprint == ""


def test_without_a_key_nothing_is_kept() -> None:
    assert Pseudonyms().of("a", "x") == ""
    assert not read_pseudonyms("")


def test_the_names_of_those_who_are_known_come_back() -> None:
    one = Pseudonyms(KEY)
    assert one.names("a", ["x", "y"]) == {one.of("a", "x"): "x", one.of("a", "y"): "y"}


@pytest.mark.parametrize("text", ["", "~", "A/5 21171", "~" + "a" * 21, "~" + "a" * 23, "~" + "a" * 21 + "+"])
def test_no_other_text_passes_for_one(text: str) -> None:
    assert not is_pseudonym(text)


def test_a_key_that_is_missing_or_short_is_refused_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        read_pseudonyms(str(tmp_path / "none"))
    (tmp_path / "short").write_text("secret")
    with pytest.raises(SettingsError, match="has 6 bytes, a key has at least 32") as caught:
        read_pseudonyms(str(tmp_path / "short"))
    assert "secret" not in str(caught.value)
    assert "kkkk" not in repr(Pseudonyms(KEY))


def test_a_home_makes_its_key_once_and_for_its_user_alone(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path))
    assert not settings.pseudonyms
    ensure_key(settings.personal_key_path)
    made = settings.pseudonyms
    ensure_key(settings.personal_key_path)
    assert made
    assert settings.pseudonyms == made
    assert stat.S_IMODE(settings.personal_key_path.stat().st_mode) == 0o600


def test_a_cluster_gives_the_key_itself(tmp_path: Path) -> None:
    assert Settings(home=str(tmp_path), personal_key="k" * 32).pseudonyms == Pseudonyms(KEY)
    with pytest.raises(SettingsError, match="personal_key has 3 bytes"):
        _ = Settings(home=str(tmp_path), personal_key="abc").pseudonyms


def test_a_key_that_a_setting_names_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        _ = Settings(home=str(tmp_path), personal_key_file=str(tmp_path / "none")).pseudonyms
