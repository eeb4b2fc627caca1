"""How often the interval of a number holds the truth: the flights, divided in twenty ways.

    .venv/bin/python -m tests.bench.coverage --rows 60000 --splits 20

Of each division a tenth of the training rows calibrates, as `train` does it where a search saw a sample, and the rows
held out are counted. What is asked is the level of the use case's label.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from sklearn.base import clone

from lifeboat.data.reading import read_table
from lifeboat.data.split import positions
from lifeboat.data.table import check_table
from lifeboat.registry.storage import S3, local_copy
from lifeboat.tasks.learning import learning_of
from lifeboat.train.features import make_features
from lifeboat.train.parity import data_frame
from lifeboat.usecases.flights import USECASE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=60_000, help="so many of the flights, drawn anew for each division")
    parser.add_argument("--splits", type=int, default=20, help="divisions")
    options = parser.parse_args()
    with TemporaryDirectory() as folder, local_copy(str(USECASE.data), S3(), Path(folder)) as path:
        table = check_table(read_table(path, name="flights"), USECASE.schema, labelled=True, name="flights").good
    X, y = data_frame(table, USECASE.schema), table.column(USECASE.schema.label.name).to_numpy()
    names, learning = [str(row) for row in range(len(y))], learning_of(USECASE.task)
    estimator = next(one.estimator for one in USECASE.candidates if one.name == "gradient boosting")
    found = []
    for number in range(options.splits):
        start = time.monotonic()
        place = positions(names, f"coverage {number}") * len(y) / options.rows
        test, held, rest = place < 0.2, (place >= 0.2) & (place < 0.28), (place >= 0.28) & (place < 1)
        features = make_features(USECASE, X)
        model = clone(estimator).fit(features.fit_transform(X[rest], y[rest]), y[rest])
        raw = learning.ask(model, features.transform(X[held]))
        calibration = learning.calibrate(y[held], raw, np.zeros(int(held.sum()), dtype=np.int64))
        whole = rest | held
        features = make_features(USECASE, X)
        model = clone(estimator).fit(features.fit_transform(X[whole], y[whole]), y[whole])
        answers = calibration.apply(learning.ask(model, features.transform(X[test])))
        figures = learning.figures(y[test], answers)
        found.append(figures["coverage"])
        print(f"{number + 1}: coverage {figures['coverage']:.4f}, mean width {figures['width']:.1f} minutes, "
              f"MAE {figures['mae']:.2f}, {time.monotonic() - start:.1f} s", flush=True)  # fmt: skip
    level = USECASE.schema.label.level
    print(f"asked {level:.1%}, held {np.mean(found):.2%} on average, {min(found):.2%} to {max(found):.2%}")


if __name__ == "__main__":
    main()
