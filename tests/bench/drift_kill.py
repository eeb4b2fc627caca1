"""Random SIGKILLs of the detector during a stream of events: `python -m tests.bench.drift_kill [--kills N]`.

Ends with 1 if an acknowledged event was lost or counted twice.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.detector.kill import kill_again_and_again


def main() -> int:
    """Prints what was sent and what was counted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lifeboat-bench-") as directory:
        outcome = kill_again_and_again(Path(directory), arguments.kills, arguments.seed)
    sys.stdout.write(
        f"{outcome.kills} kills; {outcome.acknowledged} predictions acknowledged, "
        f"{outcome.sent_again} posts sent again; "
        f"{outcome.rows} rows and {outcome.labels} truths counted, {outcome.duplicates} duplicates recognised\n"
    )
    for problem in outcome.problems:
        sys.stdout.write(f"WRONG: {problem}\n")
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
