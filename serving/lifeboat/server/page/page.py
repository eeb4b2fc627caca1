"""The page at / and /docs: ask the model by a form, see why it answers so, and what else there is to ask.

It is one file of those beside this one, loads nothing, and asks only this server. What is tried here is no traffic: it
is sent with Seldon-Skip-Logging.
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from string import Template
from typing import Any, NamedTuple
from urllib.parse import quote

from lifeboat.server.identity import ModelMetadata
from lifeboat.server.page.form import fields
from lifeboat.server.page.words import allowed
from lifeboat.system.pages.look import ICON, dom_script, look, script_policy

# In the order the browser reads them, as one module.
_SCRIPTS = ("request.js", "answer.js", "page.js")
_FOLDER = Path(__file__).parent


class Page(NamedTuple):
    """A page and what it may do.

    Args:
        body: HTML, UTF-8.
        headers: raw header lines that go with it.
    """

    body: bytes
    headers: bytes


def render_page(metadata: ModelMetadata, document: dict[str, Any], *, explains: bool, home: str = "") -> Page:
    """The page of a model.

    Args:
        metadata: what the model is.
        document: its OpenAPI document, as `describe_api` gives it.
        explains: whether somebody gives the reasons of its answers.
        home: URL of the page that leads to all others; empty for none.
    """
    style = look() + _read("page.css")
    script = "\n".join([dom_script(), *map(_read, _SCRIPTS)])
    identity, address = metadata.identity, escape(home)
    schemas = document["components"]["schemas"]
    parts = {
        "icon": ICON,
        "name": escape(identity.name),
        "version": escape(identity.version),
        "digest": escape(identity.digest),
        "title": escape(metadata.title or identity.name),
        "brand": f'<a href="{address}">Lifeboat</a>' if home else "Lifeboat",
        "answers": escape(_answers(metadata)),
        "fields": fields(metadata.schema),
        "why": "" if explains else " hidden",
        "columns": "".join(
            _cells(column.name, allowed(column), column.description) for column in metadata.schema.columns
        ),
        "options": "".join(f"<option>{escape(path)}</option>" for path in _examples(document, schemas)),
        "paths": "".join(_path(path, methods) for path, methods in document["paths"].items()),
        # "<" could end the element.
        "model": json.dumps(_model(metadata, document, explains)).replace("<", "\\u003c"),
        "style": style,
        "script": script,
    }
    lines = (
        f"content-security-policy: {script_policy(style, script)}",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
    )
    body = Template(_read("page.html")).substitute(parts).encode()
    return Page(body, "".join(f"{line}\r\n" for line in lines).encode())


def _model(metadata: ModelMetadata, document: dict[str, Any], explains: bool) -> dict[str, Any]:
    """What the script has to know."""
    task, name = metadata.task, quote(metadata.identity.name, safe="")
    return {
        "predict": f"v1/models/{name}:predict",
        "explain": "api/v1.0/explain" if explains else "",
        "names": list(task.names),
        "called": "label" in task.outputs,
        "unit": metadata.schema.label.to_document().get("unit", ""),
        "example": metadata.schema.example(),
        "examples": _examples(document, document["components"]["schemas"]),
    }


def _answers(metadata: ModelMetadata) -> str:
    """What the model says, in a sentence."""
    task, label = metadata.task, metadata.schema.label
    if "label" in task.outputs:
        return f"It says what {label.name} is: {', '.join(task.names)}, each with its probability."
    unit = label.to_document().get("unit", "")
    return f"It says {label.name}{f' in {unit}' if unit else ''}."


def _examples(document: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """A request for each path that takes one."""
    return {
        path: schemas[_body_of(methods["post"])]["example"]
        for path, methods in document["paths"].items()
        if "post" in methods
    }


def _body_of(operation: dict[str, Any]) -> str:
    reference: str = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    return reference.rpartition("/")[2]


def _path(path: str, methods: dict[str, Any]) -> str:
    return "".join(_cells(method.upper(), path, operation["summary"]) for method, operation in methods.items())


def _cells(head: str, *texts: str) -> str:
    cells = "".join(f'<td class="wide">{escape(text)}</td>' for text in texts)
    return f'<tr><th scope="row">{escape(head)}</th>{cells}</tr>'


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
