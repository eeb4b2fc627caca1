"""What a Markdown document names: links, paths, verbs of the Makefile, commands of ours."""

from __future__ import annotations

import argparse
import re
import shlex
from itertools import product
from pathlib import Path

from lifeboat.cli.verbs import build_parser

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = [
    README,
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "serving" / "HTTP.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / ".github").glob("*.md")),
]
# Where nothing is ours to name.
FOREIGN = {".git", ".venv", ".venvs", ".lifeboat", "node_modules", ".terraform"}
_SPAN = re.compile(r"`([^`\n]+)`")
_COMMAND = re.compile(r"(?:^|[;&|(] *)(?:\.venv/bin/)?lifeboat +(.+)", re.MULTILINE)


def links(page: Path) -> list[str]:
    """Targets of its links and pictures that are no URLs, without the anchor."""
    found = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    return [target.partition("#")[0] for target in found if "://" not in target and not target.startswith("#")]


def blocks(page: Path) -> list[str]:
    """Lines of its indented and fenced code."""
    text = re.sub(r"^```.*?\n(.*?)^```", _indent, page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [line.strip() for line in text.splitlines() if line.startswith("    ")]


def _indent(block: re.Match[str]) -> str:
    return "".join(f"    {line}\n" for line in block[1].splitlines())


def spans(page: Path) -> list[str]:
    """Its code within sentences; one that goes over the end of a line is one."""
    prose = "\n".join(line for line in page.read_text().splitlines() if not line.startswith("    "))
    return _SPAN.findall(re.sub(r"(?<!\n)\n(?!\n)", " ", prose))


def paths(page: Path) -> list[str]:
    """Files and folders of this repository that it names in code, braces written out."""
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()} - FOREIGN
    found = []
    for word in (word for span in spans(page) for word in span.split()):
        if re.fullmatch(r"[\w.{},/-]+", word) and "/" in word and word.split("/")[0] in folders:
            found += _braces(word)
    return found


def _braces(word: str) -> list[str]:
    parts = [part.strip("{}").split(",") if part.startswith("{") else [part] for part in re.split(r"(\{[^}]*\})", word)]
    return ["".join(choice) for choice in product(*parts)]


def files(page: Path) -> list[str]:
    """Source files that it names without their folder."""
    return [span for span in spans(page) if re.fullmatch(r"[\w-]+\.(py|sh|tf|sql|md|ipynb)", span)]


def make_verbs(page: Path) -> set[str]:
    """Verbs of the Makefile that its code names."""
    code = "\n".join([*blocks(page), *spans(page)])
    return set(re.findall(r"(?:^|[;&] *)make ([a-z][a-z-]*)", code, re.MULTILINE))


def mentions(page: Path) -> list[str]:
    """What stands behind the word `lifeboat` in its code: a verb, perhaps with flags."""
    code = "\n".join([*blocks(page), *spans(page)])
    return [rest for rest in _COMMAND.findall(code) if re.match(r"[a-z-]", rest)]


def commands(page: Path) -> list[list[str]]:
    """The command lines of `lifeboat` that stand in its code blocks, without the program's name and the comment."""
    lines = [line for line in blocks(page) if re.match(r"(\.venv/bin/)?lifeboat ", line)]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def verbs() -> dict[str, argparse.ArgumentParser]:
    """The parser of each verb."""
    [choices] = [one.choices for one in build_parser()._actions if isinstance(one, argparse._SubParsersAction)]
    return dict(choices)


def flags(parser: argparse.ArgumentParser) -> set[str]:
    """The flags of a verb and of the words that may follow it."""
    below = [one.choices for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    inner = [flags(each) for choices in below for each in choices.values()]
    return set(parser._option_string_actions).union(*inner)
