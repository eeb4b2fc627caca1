"""The README and the pages under docs name nothing that is not there. Nothing below is copied from them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from lifeboat.cli.verbs import build_parser
from tests.docs import documents
from tests.docs.documents import FOREIGN, PAGES, README, ROOT

each = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@cache
def own() -> list[Path]:
    """Every file and folder of ours; environments are not walked through."""
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in FOREIGN]
        found += [Path(folder, name) for name in (*folders, *files) if name not in FOREIGN]
    return found


def existing(pattern: str) -> list[Path]:
    return [path for path in own() if path.match(pattern)]


def test_the_readme_is_read_in_a_few_minutes() -> None:
    assert len(README.read_text().splitlines()) <= 150


@each
def test_every_link_leads_somewhere(page: Path) -> None:
    assert [link for link in documents.links(page) if not (page.parent / link).exists()] == []


@each
def test_every_path_exists(page: Path) -> None:
    assert [path for path in documents.paths(page) if not (ROOT / path).exists()] == []


@each
def test_every_file_that_is_named_alone_is_somewhere(page: Path) -> None:
    assert [name for name in documents.files(page) if not existing(name)] == []


@each
def test_every_verb_of_make_exists(page: Path) -> None:
    known = set(re.findall(r"^([a-z][a-z-]*):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert documents.make_verbs(page) <= known


@each
def test_every_verb_and_flag_of_lifeboat_exists(page: Path) -> None:
    known = {verb: documents.flags(parser) for verb, parser in documents.verbs().items()} | {"--help": set()}
    for mention in documents.mentions(page):
        verb, *words = mention.split()
        assert verb in known, mention
        assert {word for word in words if re.match("--[a-z]", word)} <= known[verb], mention


@each
def test_every_command_line_is_one_that_the_program_takes(page: Path) -> None:
    for command in documents.commands(page):
        assert callable(build_parser().parse_args(command).verb), command


def test_the_readme_names_enough_to_be_tested() -> None:
    """Else the tests above would pass on a README that they cannot read."""
    assert {"run", "test", "check"} <= documents.make_verbs(README)
    assert {"run", "status", "predict", "compile"} <= {command[0] for command in documents.commands(README)}
    assert len(documents.paths(README)) > 5
    assert "docs/drift.md" in documents.links(README)
    assert "components/lifeboat/train/" in documents.paths(README)
    assert "--help" in documents.mentions(README)


def test_help_is_what_the_readme_says(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lifeboat.cli.main", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert all(f"    {verb} " in done.stdout for verb in documents.verbs())
    assert "settings, from the environment:" in done.stdout


def test_the_readmes_shell_commands_are_known() -> None:
    """Whoever adds a command of another program decides here how it is tested."""
    programs = Counter(line.split()[0] for line in documents.blocks(README) if re.match(r"[.\w/-]+ [a-z-]", line))
    ours = {name for name in programs if name == "make" or name.endswith("bin/lifeboat")}
    assert ours == {"make", ".venv/bin/lifeboat"}


class TestReading:
    """The reader itself, on a page of its own."""

    PAGE = (
        "See [a](docs/a.md#part) and [b](https://x.org) and `components/{core,train}/` by `make\ncheck`.\n"
        "We make sure that `lifeboat run --seed 1` works; `batcher.py` too.\n\n"
        '    make test      # words\n    .venv/bin/lifeboat predict "Name=Doe, J." # a # comment\n\n'
        "```sh\nlifeboat status --home x\n```\n"
    )

    @pytest.fixture
    def page(self, tmp_path: Path) -> Path:
        (tmp_path / "page.md").write_text(self.PAGE)
        return tmp_path / "page.md"

    def test_it_finds_what_is_named(self, page: Path) -> None:
        assert documents.links(page) == ["docs/a.md"]
        assert documents.paths(page) == ["components/core/", "components/train/"]
        assert documents.files(page) == ["batcher.py"]
        assert documents.make_verbs(page) == {"check", "test"}
        assert documents.commands(page) == [["predict", "Name=Doe, J."], ["status", "--home", "x"]]
        assert "run --seed 1" in documents.mentions(page)
