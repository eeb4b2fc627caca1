"""What holds for every test: no library reports to its makers, whatever is imported first."""

from __future__ import annotations

import os

from components.core.settings import LIBRARIES

for _name, _value in LIBRARIES.items():
    os.environ.setdefault(_name, _value)
