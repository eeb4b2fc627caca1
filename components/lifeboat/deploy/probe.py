"""Asking a model server over Seldon's protocol whether it answers as its bundle says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from lifeboat.config.errors import DeployError
from lifeboat.deploy.measured import Figure, MeasuredNote, Measurement
from lifeboat.model.bundle import Bundle
from lifeboat.system import http_request
from lifeboat.system.http_request import NoAnswerError
from lifeboat.tasks.decision import Decision
from lifeboat.tasks.kinds import task_of
from lifeboat.tasks.task import Task
from lifeboat.usecase.label import BinaryLabel, Label

# Between the machine that trained and the one that serves, float32 sums may differ in the last digits.
TOLERANCE = 1e-4
SECONDS = 10.0
# A probe is no traffic: no detector should take it for some.
UNLOGGED = {"Seldon-Skip-Logging": "true"}


def ask(
    url: str, rows: list[dict[str, Any]], *, token: str = "", logged: bool = True, tags: dict[str, Any] | None = None
) -> tuple[list[list[float]], dict[str, Any]]:
    """Sends rows as one Seldon request.

    Args:
        url: of the server, without a path.
        rows: values by column name.
        token: that the server may ask for; empty for none.
        logged: whether it counts as traffic.
        tags: of the request, such as {"explain": True}.

    Returns:
        Answers, a row each, and the tags of `meta`.

    Raises:
        DeployError: no answer, or not 200.
    """
    names = list(rows[0])
    body: dict[str, Any] = {"data": {"names": names, "ndarray": [[row.get(name) for name in names] for row in rows]}}
    if tags:
        body["meta"] = {"tags": tags}
    answer = ask_document(url, "/api/v1.0/predictions", body, None if logged else UNLOGGED, token=token)
    return answer["data"]["ndarray"], answer["meta"].get("tags", {})


def describe(url: str, token: str = "") -> dict[str, Any]:
    """What a server says of itself, in Seldon's form: name, version, inputs, outputs, the decision among `custom`.

    Raises:
        DeployError: no answer, or not 200.
    """
    return ask_document(url, "/api/v1.0/metadata", token=token)


def read_answers(described: dict[str, Any]) -> tuple[Task[Any, Any], Decision]:
    """What a server's answers are, and what is made of them.

    Args:
        described: as `describe` gives it.

    Raises:
        DeployError: it is no server of Lifeboat's, or of a kind of label that is not installed here.
    """
    try:
        said = described["custom"]
        if "label" in said:
            label = Label.read(json.loads(said["label"]))
        else:
            # A server of before labels were of several kinds: its answers are called as its two classes are.
            [outputs] = described["outputs"]
            label = BinaryLabel("label", tuple(outputs["schema"]["names"]))
        more = {name: float(said[name]) for name in said if name == "threshold"}
        task = task_of(label)
        return task, task.decision.of_manifest({"decision": {"rule": said["decision"], **more}})
    except (KeyError, TypeError, ValueError) as error:
        raise DeployError(f"the server's metadata is not that of a model of Lifeboat: {error!r}") from error


def ask_document(
    url: str, path: str, body: Any = None, headers: dict[str, str] | None = None, *, token: str = ""
) -> dict[str, Any]:
    """The document that a server of ours answers with.

    Args:
        url: of the server, without a path.
        path, body, headers, token: of the request, as `lifeboat.system.http_request.ask` takes them.

    Raises:
        DeployError: no answer, or not 200.
    """
    try:
        found = http_request.ask(f"{url}{path}", body, headers, token=token, seconds=SECONDS)
        if found.status != 200:
            raise DeployError(f"{url} answered {found.status}: {found.shown}")
        document: dict[str, Any] = found.json()
    except (NoAnswerError, ValueError) as error:
        raise DeployError(f"{url} gave no answer: {error}") from error
    return document


def check_golden(url: str, bundle: Bundle, say: Callable[[str], None], token: str = "") -> None:
    """Asks the bundle's golden requests, and says how near the answers are.

    Args:
        url: of the server, without a path.
        bundle: has the requests and their answers.
        say: told that it answers them.
        token: see `ask`.

    Raises:
        DeployError: an answer differs by more than 1e-4, naming the row.
    """
    answers, _ = ask(url, [entry["row"] for entry in bundle.golden], token=token, logged=False)
    error = bundle.golden_errors(answers)
    if not error.max() <= TOLERANCE:
        row = int(error.argmax())
        raise DeployError(
            f"golden request {row} is answered {answers[row]}, the bundle says {bundle.golden_answers[row]}"
        )
    number, limit = f"{len(bundle.golden)}", f"at most {TOLERANCE:g}"
    figures = (Figure("Requests", number), Figure("Largest difference of an answer", f"{error.max():.1e}", "", limit))
    measured = Measurement("Golden requests, against the bundle", True, figures)
    say(MeasuredNote(f"it answers the {number} golden requests as its bundle says", measured))


def replay(new: str, old: str, bundle: Bundle, token: str = "") -> float:
    """Asks both servers the golden requests and gives the mean over these of the largest difference of an answer.

    Raises:
        DeployError: one of them does not answer.
    """
    rows = [entry["row"] for entry in bundle.golden]
    first, second = (np.asarray(ask(url, rows, token=token, logged=False)[0]) for url in (new, old))
    return float(np.abs(first - second).max(axis=1).mean())


def compare(new: str, old: str, bundle: Bundle, say: Callable[[str], None], token: str = "") -> None:
    """Says what the switch will change; an old server that cannot answer these rows is no reason to keep it."""
    try:
        far = replay(new, old, bundle, token)
        figures = (Figure("Mean of the largest difference of an answer", f"{far:.4f}"),)
        measured = Measurement("Golden requests, against the version that serves", True, figures)
        say(MeasuredNote(f"on these requests it differs from the running version by {far:.4f} on average", measured))
    except DeployError as error:
        say(f"the running version cannot answer these requests: {error}")
