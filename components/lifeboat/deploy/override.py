"""A promotion by hand: who, when and why, for the registry and for the model card."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass

from lifeboat.config.errors import SettingsError
from lifeboat.registry.versions import BECAUSE, BY, one_line, stamp
from lifeboat.system.markup import markdown_text


@dataclass(frozen=True)
class Override:
    """Someone ships a version whatever its gate said.

    Args:
        because: why, on one line.
        by: who, as user@host: a name that Git's commits and shell prompts show as well, and no secret.
        at: when, as `lifeboat.registry.versions.stamp` writes it.
    """

    because: str
    by: str
    at: str

    @classmethod
    def now(cls, because: str, by: str) -> Override:
        """An override of this moment.

        Raises:
            SettingsError: the reason is empty, or too long (see `one_line`).
        """
        reason = one_line(because)
        if not reason:
            raise SettingsError("a promotion by hand needs a reason, and that given is empty: write why in --because")
        return cls(reason, by, stamp())

    @property
    def tags(self) -> dict[str, str]:
        """Of the version and its run."""
        return {BECAUSE: self.because, BY: self.by}

    @property
    def revisions(self) -> dict[str, Callable[[str], str]]:
        """Reports that are to say so, and how."""
        return {"model-card.html": self._into_html, "model-card.md": self._into_markdown}

    def _into_html(self, page: str) -> str:
        sentence = html.escape(f"Promoted by hand on {self._moment} by {self.by}, whatever the gate said below:")
        notice = (
            '<div role="note" style="border:2px solid #b3471a;border-radius:8px;padding:.8rem 1.1rem;margin:1rem 0">'
            f"<b>{sentence}</b> {html.escape(self.because)}</div>"
        )
        return page.replace("<body>", f"<body>\n{notice}", 1)

    def _into_markdown(self, page: str) -> str:
        sentence = f"Promoted by hand on {self._moment} by {markdown_text(self.by)}, whatever the gate said below:"
        return f"> **{sentence}** {markdown_text(self.because)}\n\n{page}"

    @property
    def _moment(self) -> str:
        return f"{self.at[:19].replace('T', ' ')} UTC"
