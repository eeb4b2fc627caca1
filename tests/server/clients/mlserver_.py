"""MLServer's codecs, types and stub: python mlserver_.py HTTP_PORT GRPC_PORT."""

import json
import sys
from urllib.request import Request, urlopen

import grpc
import pandas as pd
from mlserver.codecs import NumpyCodec, PandasCodec, StringCodec
from mlserver.grpc import converters, dataplane_pb2_grpc
from mlserver.types import InferenceResponse

FRAME = pd.DataFrame(
    {"name": ["Ann", "Bob"], "port": ["C", "Q"], "age": [22.5, 30.0], "class": [3, 1], "alone": [True, False]}
).astype({"name": object, "port": object})  # its codec knows no other dtype of texts


def answers(response):
    """Probabilities and labels, as its codecs read them."""
    outputs = {output.name: output for output in response.outputs}
    labels = StringCodec.decode_output(outputs["label"])
    return [NumpyCodec.decode_output(outputs["probabilities"]).tolist(), list(labels)]


def main(http_port: str, grpc_port: str) -> None:
    """Sends a data frame."""
    found = {}
    asked = PandasCodec.encode_request(FRAME)
    url = f"http://127.0.0.1:{http_port}/v2/models/tiny/infer"
    body = Request(url, asked.model_dump_json().encode(), {"Content-Type": "application/json"})
    with urlopen(body, timeout=10) as said:
        found["rest"] = answers(InferenceResponse.model_validate_json(said.read()))
    with grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
        stub = dataplane_pb2_grpc.GRPCInferenceServiceStub(channel)
        for use_raw in (False, True):
            message = converters.ModelInferRequestConverter.from_types(asked, model_name="tiny", use_raw=use_raw)
            response = converters.ModelInferResponseConverter.to_types(stub.ModelInfer(message))
            found["grpc, raw" if use_raw else "grpc"] = answers(response)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
