import json

import pytest

from lifeboat.config.errors import BundleError
from lifeboat.model import bundle as module
from lifeboat.model.bundle import FILES, GOLDEN, MANIFEST, MODEL, SCHEMA, open_bundle, write_bundle
from lifeboat.usecase.schema import BinaryLabel, Column, Schema

TINY = Schema((Column("a", "float"),), BinaryLabel("y", ("no", "yes")))
CONTENT = {**dict.fromkeys(FILES, b"\x00some bytes\xff"), SCHEMA: TINY.to_json().encode(), GOLDEN: b"[]"}
FACTS = {"usecase": "tiny", "title": "Tïny", "lineage": {"seed": 0, "rate": 1e-05}}


def made(tmp_path, files=None, manifest=None):
    write_bundle(tmp_path / "b", files or CONTENT, manifest or FACTS)
    return tmp_path / "b"


def test_what_was_written_is_read(tmp_path):
    root = tmp_path / "deep" / "er" / "b"
    digest = write_bundle(root, CONTENT, FACTS)
    found = open_bundle(root)
    assert found.digest == digest
    assert (found.usecase, found.schema, found.model, found.golden) == ("tiny", TINY, CONTENT[MODEL], [])
    assert found.manifest["lineage"] == FACTS["lineage"]
    assert found.reference.read_bytes() == CONTENT[module.REFERENCE]
    assert [path.name for path in root.parent.iterdir()] == ["b"]


def test_the_digest_follows_content_and_facts_only(tmp_path):
    def digest(name, files=CONTENT, facts=FACTS):
        return write_bundle(tmp_path / name, files, facts)

    one = digest("one")
    assert digest("two", dict(reversed(CONTENT.items())), dict(reversed(FACTS.items()))) == one
    assert digest("three", {**CONTENT, MODEL: b"other"}) != one
    assert digest("four", facts={**FACTS, "title": "Tiny"}) != one


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_every_changed_byte_is_refused(tmp_path, name):
    path = made(tmp_path) / name
    content = path.read_bytes()
    for place, byte in enumerate(content):
        # The last bit, another letter case, and whitespace for whitespace, of which JSON itself takes no notice.
        for other in {byte ^ 1, byte ^ 0x20, {0x20: 0x09, 0x0A: 0x0D}.get(byte, byte ^ 0x80)}:
            path.write_bytes(content[:place] + bytes([other]) + content[place + 1 :])
            with pytest.raises(BundleError):
                open_bundle(path.parent)
    path.write_bytes(content)
    open_bundle(path.parent)


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_every_truncation_and_addition_is_refused(tmp_path, name):
    path = made(tmp_path) / name
    content = path.read_bytes()
    for wrong in [*(content[:size] for size in range(len(content))), content + b"\n", content + b" "]:
        path.write_bytes(wrong)
        with pytest.raises(BundleError):
            open_bundle(path.parent)


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_a_missing_file_is_named(tmp_path, name):
    path = made(tmp_path) / name
    path.unlink()
    with pytest.raises(BundleError, match=name):
        open_bundle(path.parent)


def test_a_pickle_has_no_place_in_a_bundle(tmp_path):
    root = made(tmp_path)
    (root / "model.pkl").write_bytes(b"\x80\x04.")
    with pytest.raises(BundleError, match=r"model\.pkl does not belong in a bundle"):
        open_bundle(root)


def test_a_file_of_another_bundle_is_refused(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    write_bundle(one, CONTENT, FACTS)
    write_bundle(two, {**CONTENT, MODEL: b"other"}, FACTS)
    (one / MODEL).write_bytes((two / MODEL).read_bytes())
    with pytest.raises(BundleError, match=r"model\.onnx was altered"):
        open_bundle(one)


def test_what_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(BundleError, match="is not a bundle"):
        open_bundle(tmp_path / "nowhere")
    (tmp_path / MANIFEST).write_text("[" * 100_000)
    with pytest.raises(BundleError, match="is not JSON"):
        open_bundle(tmp_path)
    (tmp_path / MANIFEST).write_text('{"format": 1, "digest": NaN}')
    with pytest.raises(BundleError, match="is not JSON"):
        open_bundle(tmp_path)


def test_another_format_is_refused(tmp_path):
    path = made(tmp_path) / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "format": 3}))
    with pytest.raises(BundleError, match="format is not 1 or 2"):
        open_bundle(path.parent)


def test_a_well_signed_bundle_without_a_schema_is_refused(tmp_path):
    root = made(tmp_path, {**CONTENT, SCHEMA: b"{}"})
    with pytest.raises(BundleError, match=r"schema\.json or golden\.json is not what a bundle holds"):
        open_bundle(root)


def test_a_bundle_has_exactly_its_files(tmp_path):
    with pytest.raises(BundleError, match="a bundle has the files"):
        write_bundle(tmp_path / "b", {**CONTENT, "model.pkl": b""}, FACTS)
    with pytest.raises(BundleError, match="a bundle has the files"):
        write_bundle(tmp_path / "b", {MODEL: b""}, FACTS)
    assert not list(tmp_path.iterdir())


def test_a_bundle_is_never_written_over(tmp_path):
    root = made(tmp_path)
    with pytest.raises(BundleError, match="cannot take a bundle"):
        write_bundle(root, CONTENT, {**FACTS, "title": "other"})
    assert open_bundle(root).manifest["title"] == "Tïny"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
@pytest.mark.parametrize("before", range(len(FILES) + 1))
def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch, before, error):
    write, count = module.Path.write_bytes, iter(range(100))

    def broken(path, content):
        if next(count) == before:
            raise error
        return write(path, content)

    monkeypatch.setattr(module.Path, "write_bytes", broken)
    with pytest.raises((KeyboardInterrupt, BundleError)) as raised:
        made(tmp_path)
    assert raised.type is KeyboardInterrupt or "No space left on device" in str(raised.value)
    assert not list(tmp_path.iterdir())
