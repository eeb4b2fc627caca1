"""What shap says, in an environment of its own: `python shap_peer.py trees FOLDER`, or `kernel FOLDER`.

`trees` reads a fitted estimator, a background and rows, and writes the values of TreeExplainer. `kernel` reads a
bundle's graph and the columns of a background and of rows, and writes the values of KernelExplainer and the seconds of
each row.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import shap

PROBABILITY = 1


def trees(folder: Path) -> None:
    estimator = joblib.load(folder / "estimator.joblib")
    background, rows = np.load(folder / "background.npy"), np.load(folder / "rows.npy")
    explainer = shap.TreeExplainer(estimator, background, feature_perturbation="interventional")
    values, base = np.asarray(explainer.shap_values(rows)), np.atleast_1d(explainer.expected_value)
    if values.ndim == 3:  # of a classifier, for each class
        values, base = values[..., PROBABILITY], base[[PROBABILITY]]
    np.savez(folder / "shap.npz", values=values, base=base)


def kernel(folder: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession((folder / "model.onnx").read_bytes(), providers=["CPUExecutionProvider"])
    said = json.loads((folder / "question.json").read_text())
    stored = np.load(folder / "columns.npz", allow_pickle=True)  # texts are objects; the file is ours
    # shap takes numbers: of each column the place among its values.
    levels, codes = {}, []
    for name in said["columns"]:
        both = np.concatenate([stored[f"background {name}"], stored[f"row {name}"]])
        levels[name], places = np.unique(both.astype(str) if both.dtype == object else both, return_inverse=True)
        levels[name] = levels[name].astype(both.dtype)
        codes.append(places)
    table = np.stack(codes, axis=1).astype(float)
    background, rows = table[: said["background"]], table[said["background"] :]

    def answer(asked: np.ndarray) -> np.ndarray:
        inputs = {
            name: levels[name][asked[:, place].astype(int)].reshape(-1, 1) for place, name in enumerate(said["columns"])
        }
        return session.run([said["output"]], inputs)[0].reshape(len(asked), -1)[:, said["place"]].astype(float)

    explainer = shap.KernelExplainer(answer, background)
    values, seconds = [], []
    for row in rows:
        begun = time.process_time()
        values.append(explainer.shap_values(row, silent=True))
        seconds.append(time.process_time() - begun)
    np.savez(folder / "kernel.npz", values=np.array(values), base=explainer.expected_value, seconds=seconds)


if __name__ == "__main__":
    {"trees": trees, "kernel": kernel}[sys.argv[1]](Path(sys.argv[2]))
