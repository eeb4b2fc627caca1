#!/usr/bin/env python3
"""Terraform's plans as one comment: plan_comment.py FOLDER, which holds plan-*/plan-ENVIRONMENT.txt."""

from __future__ import annotations

import re
import sys
from pathlib import Path

# GitHub takes 65,536 characters in all.
MOST = 30_000
# A line of a plan must not end the block that it stands in.
FENCE = "`" * 8


def section(file: Path) -> str:
    """One environment's plan, folded up behind its last word."""
    text = file.read_text(encoding="utf-8", errors="replace").replace(FENCE, "")
    found = re.search(r"^(Plan: .*|No changes\..*|Error: .*)$", text, re.MULTILINE)
    headline = found[1] if found else "no plan: see the job"
    cut = "" if len(text) <= MOST else f"The first {len(text) - MOST:,} characters are left out.\n\n"
    environment = file.stem.removeprefix("plan-")
    return (
        f"<details><summary><b>{environment}</b>: {headline}</summary>\n\n"
        f"{cut}{FENCE}\n{text[-MOST:].strip()}\n{FENCE}\n\n</details>\n"
    )


if __name__ == "__main__":
    plans = sorted(Path(sys.argv[1]).glob("plan-*/plan-*.txt"))
    print("### Terraform's plan\n")
    print("\n".join(map(section, plans)) or "No environment was planned: see the jobs.")
