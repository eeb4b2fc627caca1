"""A model server of KServe as its documents show one: the same ONNX graph behind KServe's own protocol and types.

`python -m tests.bench.kserve_peer BUNDLE HTTP_PORT GRPC_PORT`, in KServe's environment, which has nothing of Lifeboat.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer


class Peer(Model):  # type: ignore[misc]  # KServe is not in the environment of the checks
    """The graph of a bundle; nothing is checked beyond what KServe does."""

    def __init__(self, bundle: str) -> None:
        super().__init__("peer")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        graph = Path(bundle) / "model.onnx"
        self._session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        self.ready = True

    async def predict(self, payload: InferRequest, *_: Any, **__: Any) -> InferResponse:
        feed: dict[str, Any] = {}
        for one in payload.inputs:
            values = one.as_numpy().reshape(-1, 1)
            if one.datatype == "BYTES":
                texts = [value.decode() if isinstance(value, bytes) else value for value in values[:, 0]]
                values = np.array(texts, dtype=object).reshape(-1, 1)
            feed[one.name] = values
        (answers,) = self._session.run(None, feed)[:1]
        output = InferOutput("probabilities", list(answers.shape), "FP32")
        output.set_data_from_numpy(answers, binary_data=False)
        return InferResponse(payload.id or "1", self.name, [output])


if __name__ == "__main__":
    bundle, http_port, grpc_port = sys.argv[1:]
    ports = {"http_port": int(http_port), "grpc_port": int(grpc_port)}
    ModelServer(**ports, workers=1, enable_latency_logging=False, access_log_format=None).start([Peer(bundle)])
