"""The home page as HTML, and what a browser lets it do."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import jinja2

from lifeboat.registry.sqlite_registry import ListedVersion
from lifeboat.registry.versions import Version
from lifeboat.system.pages.look import NO_OTHERS, STATIC_POLICY, look, patch_script, script_policy
from lifeboat.system.pages.templates import page_templates
from lifeboat.ui.drift import drift_anchor
from lifeboat.ui.home import HomeView, ModelView
from lifeboat.ui.runs import RUN_PAGES
from lifeboat.ui.static_pages import version_pages, version_url

VERSIONS_SHOWN = 5
_TEMPLATES = Path(__file__).parent / "templates"
# Of the pages that are files.
FILE_POLICY = f"{STATIC_POLICY}; {NO_OTHERS}"


@dataclass(frozen=True)
class Headline:
    """What a reader wants to know first."""

    tone: str
    mark: str
    words: str
    more: str


@cache
def style() -> str:
    """The whole style of the home page."""
    return look() + (_TEMPLATES / "home.css").read_text(encoding="utf-8")


@cache
def script() -> str:
    """Its script: it asks for the page again, and changes what differs."""
    return patch_script() + (_TEMPLATES / "home.js").read_text(encoding="utf-8")


@cache
def policy() -> str:
    """Content-Security-Policy of the home page: its own style and script, by their hashes, and its own address."""
    return script_policy(style(), script())


def render_home(home: HomeView) -> str:
    """The page."""
    return (
        _environment()
        .get_template("home.html.j2")
        .render(
            home=home,
            headline=headline(home),
            troubles=list(dict.fromkeys(home.troubles)),
            style=style(),
            script=script(),
            shown_versions=VERSIONS_SHOWN,
            mlflow=mlflow_command(home.tracking),
        )
    )


def render_missing(title: str, sentence: str) -> str:
    """The page of what is not there, or cannot be shown."""
    return _environment().get_template("missing.html.j2").render(title=title, sentence=sentence)


def mlflow_command(tracking: str) -> str:
    """What starts MLflow's own pages over a registry."""
    mlflow = Path(sys.executable).with_name("mlflow")
    return f"{shlex.quote(str(mlflow))} ui --backend-store-uri {shlex.quote(tracking)}"


def headline(home: HomeView) -> Headline:
    """The worst of the use cases, in a few words."""
    more = f"The home {home.path}"
    serving = [model for model in home.models if model.serving.tone == "good"]
    failing = [model for model in home.models if model.serving.tone == "bad"]
    drifting = [model for model in serving if model.drift and model.drift.tone == "bad"]
    if failing:
        names = ", ".join(model.name for model in failing)
        return Headline("bad", "!", f"{names}: {failing[0].serving.words}", failing[0].serving.detail or more)
    if drifting:
        return Headline("bad", "!", f"{_serves(serving)}, under drift", more)
    if serving:
        return Headline("good", "✓", _serves(serving), more)
    first = "Runs are below." if home.runs else "Start with: lifeboat run"
    return Headline("idle", "…", "Nothing serves", f"{first} {more}")


def _serves(models: list[ModelView]) -> str:
    if len(models) == 1:
        return f"{models[0].name} version {models[0].serving.version} serves"
    return f"{len(models)} use cases serve"


def gate_of(listed: ListedVersion) -> tuple[str, str]:
    """What its gate said, as tone and words."""
    if listed.version.passed:
        return "good", "gate passed"
    return ("bad", "gate failed") if listed.version.tags.get("gate") else ("idle", "gate unknown")


def refusal_of(listed: ListedVersion) -> str:
    """Why its gate failed; empty where it did not."""
    return "" if listed.version.passed else listed.version.tags.get("gate", "").removeprefix("failed: ")


def links_of(listed: ListedVersion) -> dict[str, str]:
    """URL path to title of a version's pages."""
    return {version_url(listed, file): RUN_PAGES[file] for file in version_pages(listed)}


def drift_of_model(model: ModelView) -> str:
    """By which the drift detector's page opens at what serves."""
    return drift_anchor(Version(model.name, model.serving.version, model.serving.digest, ""))


@cache
def _environment() -> jinja2.Environment:
    environment = page_templates("lifeboat.ui")
    environment.filters.update(clock=_clock, moment=_moment, stamp=_stamp, milliseconds=_milliseconds)
    environment.globals.update(gate=gate_of, reasons=refusal_of, pages_of=links_of, drift_anchor=drift_of_model)
    return environment


def _local(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).astimezone()


def _clock(seconds: float) -> str:
    return f"{_local(seconds):%H:%M:%S}"


def _moment(seconds: float) -> str:
    moment = _local(seconds)
    year = "" if moment.year == datetime.now(UTC).astimezone().year else " %Y"
    return f"{moment:%-d %b{year} %H:%M}"


def _stamp(text: str) -> str:
    """A moment in ISO 8601, as people of this machine read it; as it is where it is none."""
    try:
        return _moment(datetime.fromisoformat(text).timestamp())
    except ValueError:
        return text


def _milliseconds(seconds: float | None) -> str:
    return "none yet" if seconds is None else f"{1000 * seconds:.3g} ms"
