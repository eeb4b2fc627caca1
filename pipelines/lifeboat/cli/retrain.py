"""`lifeboat trigger` and `lifeboat retrain`: the service that starts runs, and a person's way to ask it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lifeboat.config.errors import PipelineError, SettingsError
from lifeboat.config.settings import Settings
from lifeboat.config.token_file import read_token
from lifeboat.system.http_request import NoAnswerError, ask
from lifeboat.system.markup import terminal_text

# A trigger that submits to Kubeflow answers when Kubeflow did.
ANSWER_SECONDS = 120


def trigger(options: argparse.Namespace, settings: Settings) -> int:
    """Runs the retrain trigger until it is told to end."""
    from lifeboat.trigger.__main__ import start

    return start(options, settings)


def retrain(options: argparse.Namespace, settings: Settings) -> int:
    """Asks the trigger for a run; whether one starts is decided there and nowhere else."""
    url, token = _address(options, settings)
    answer = _ask(url, token, {"reason": options.reason, "now": options.now})
    if answer.get("result") != "started":
        hint = "; --now does without the cool-down" if answer.get("result") == "cooldown" else ""
        why = answer.get("why") or answer.get("error") or "what answers there is not the trigger"
        raise PipelineError(f"no run started: {why}{hint}")
    print(terminal_text(f"started {answer['run']}, {answer['why']}"))
    return 0


def _address(options: argparse.Namespace, settings: Settings) -> tuple[str, str]:
    """The trigger's URL and token: of the flags, or of the trigger that runs in this home."""
    from lifeboat.trigger.runtime_dir import find_trigger

    found = find_trigger(settings)
    url = options.url or (found.url if found else "")
    file = options.token_file or (found.token_file if found else "")
    if not url or not file:
        way = "start it with `lifeboat trigger`, give --url and --token-file, or run by hand with `lifeboat run`"
        raise SettingsError(f"no trigger runs in {settings.home_path}: {way}")
    return url, read_token(Path(file))


def _ask(url: str, token: str, wish: dict[str, Any]) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"{url!r} is no http or https URL, such as http://127.0.0.1:9020")
    try:
        answer = ask(f"{url.rstrip('/')}/retrain", wish, token=token, seconds=ANSWER_SECONDS).json()
    except (NoAnswerError, ValueError) as error:
        raise PipelineError(f"no trigger answers at {url}: {error}") from error
    return answer if isinstance(answer, dict) else {}
