"""Texts that a pipeline system fills in, where a parameter or an artifact's metadata is meant as it stands.

kfp.local fills `{{$...}}` in and puts its workspace in the place of `/kfp-workspace`, in every parameter. On Kubeflow,
Argo Workflows fills `{{...}}` in, and the API server `[[RunUUID]]`, `[[CurrentTime]]`, `[[ScheduledTime]]` and
`[[Index]]` (backend/src/common/util/parameter_formatter.go of kubeflow/pipelines). None of them knows an escape.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lifeboat.config.errors import SettingsError

_PLACEHOLDER = re.compile(r"\{\{|\[\[(?:RunUUID|CurrentTime|ScheduledTime|Index)|/kfp-workspace")


def check_text(name: str, text: str) -> None:
    """Refuses a text that would not arrive as it is.

    Args:
        name: of the flag or field, for the sentence.
        text: its value.

    Raises:
        SettingsError: it holds the beginning of a placeholder.
    """
    if found := _PLACEHOLDER.search(text):
        sentence = f"{name} holds {found[0]}, which Kubeflow Pipelines would fill in as a placeholder"
        raise SettingsError(f"{sentence}: put a space into it, or leave it out")


def plain_text(text: str) -> str:
    """The text with a space in each beginning of a placeholder: for words whose writer cannot be asked."""
    while _PLACEHOLDER.search(text):
        text = _PLACEHOLDER.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
    return text


def plain_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same with `plain_text` of every text in it, for an artifact's metadata.

    It is a part of the next step's input, in which placeholders are filled in wherever they stand.
    """
    return {plain_text(name): _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return plain_values(value)
    return plain_text(value) if isinstance(value, str) else value
