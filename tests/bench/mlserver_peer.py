"""A runtime of MLServer as its documents show one: the same ONNX graph behind MLServer's own protocol and codecs.

It runs in MLServer's environment, which has nothing of Lifeboat.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Runtime(MLModel):  # type: ignore[misc]  # MLServer is not in the environment of the checks
    """The graph of a bundle; nothing is checked beyond what MLServer does."""

    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        graph = Path(self.settings.parameters.uri) / "model.onnx"
        self._session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        feed: dict[str, Any] = {}
        for one in payload.inputs:
            if one.datatype == "BYTES":
                feed[one.name] = np.array(StringCodec.decode_input(one), dtype=object).reshape(-1, 1)
            else:
                feed[one.name] = NumpyCodec.decode_input(one).reshape(-1, 1)
        (answers,) = self._session.run(None, feed)[:1]
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output(name="probabilities", payload=answers)]
        )
