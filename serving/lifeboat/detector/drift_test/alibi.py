"""Alibi Detect, loaded when it is first needed: its import takes seconds and brings pandas, numba and transformers."""

from __future__ import annotations

import importlib
import os
from functools import cache
from typing import Any


@cache
def detectors() -> Any:
    """The module `alibi_detect.cd`."""
    # It imports transformers for detectors of texts, which would advise to install PyTorch; warnings and errors stay.
    os.environ["TRANSFORMERS_NO_ADVISORY_WARNINGS"] = "1"
    return importlib.import_module("alibi_detect.cd")
