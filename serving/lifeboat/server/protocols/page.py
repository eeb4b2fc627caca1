"""The page at /docs: the API in a browser, with a form to try it; it loads nothing from elsewhere."""

from __future__ import annotations

import json
from html import escape
from string import Template
from typing import Any

_PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid #ccc; padding: .3rem .6rem; text-align: left; vertical-align: top; }
textarea, pre { width: 100%; box-sizing: border-box; font: 14px/1.4 monospace; }
pre { background: #f4f4f4; padding: .6rem; white-space: pre-wrap; overflow-wrap: anywhere; }
label { display: block; margin-top: 1rem; }
</style>
<h1>$title</h1>
<p>Version $version. The whole description for programs: <a href="openapi.json">openapi.json</a>.</p>
<h2>Columns of a row</h2>
<table><thead><tr><th>name<th>type<th>allowed<th>meaning</thead><tbody>$columns</tbody></table>
<h2>Try it</h2>
<form>
<label>Path <select name="path">$options</select></label>
<label>Request <textarea name="body" rows="12"></textarea></label>
<p><button>Send</button></p>
</form>
<pre id="answer" aria-live="polite">The answer appears here.</pre>
<h2>Paths</h2>
<table><thead><tr><th>method<th>path<th>what it does</thead><tbody>$paths</tbody></table>
<script>
const examples = $examples, form = document.forms[0], answer = document.getElementById("answer");
const show = () => { form.body.value = JSON.stringify(examples[form.path.value], null, 1); };
form.path.onchange = show;
show();
form.onsubmit = async (event) => {
  event.preventDefault();
  const headers = {"content-type": "application/json"};
  const reply = await fetch("." + form.path.value, {method: "POST", body: form.body.value, headers});
  answer.textContent = reply.status + " " + await reply.text();
};
</script>
</html>
""")


def render_page(document: dict[str, Any]) -> str:
    """HTML for an OpenAPI document of `describe_api`."""
    schemas, paths = document["components"]["schemas"], document["paths"]
    examples = {
        path: schemas[_body_of(methods["post"])]["example"] for path, methods in paths.items() if "post" in methods
    }
    return _PAGE.substitute(
        title=escape(document["info"]["title"]),
        version=escape(document["info"]["version"]),
        columns="".join(_column(name, column) for name, column in schemas["Row"]["properties"].items()),
        options="".join(f"<option>{escape(path)}</option>" for path in examples),
        paths="".join(_path(path, methods) for path, methods in paths.items()),
        # "<" could end the script.
        examples=json.dumps(examples).replace("<", "\\u003c"),
    )


def _body_of(operation: dict[str, Any]) -> str:
    reference: str = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    return reference.rpartition("/")[2]


def _column(name: str, column: dict[str, Any]) -> str:
    kinds = column["type"] if isinstance(column["type"], list) else [column["type"]]
    limits = [f"{key} {column[key]}" for key in ("minimum", "maximum", "maxLength", "pattern") if key in column]
    values = [json.dumps(value) for value in column.get("enum", [])]
    allowed = ", ".join(limits + values)
    return _cells(name, " or ".join(kinds), allowed, column.get("description", ""))


def _path(path: str, methods: dict[str, Any]) -> str:
    return "".join(_cells(method.upper(), path, operation["summary"]) for method, operation in methods.items())


def _cells(*texts: str) -> str:
    return "<tr>" + "".join(f"<td>{escape(text)}" for text in texts)
