"""`InferenceRESTClient` and `InferenceGRPCClient` of kserve: python kserve_.py HTTP_PORT GRPC_PORT."""

import asyncio
import json
import sys

from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

COLUMNS = [
    ("name", "BYTES", ["Ann", "Bob"]), ("port", "BYTES", ["C", "Q"]), ("age", "FP32", [22.5, 30.0]),
    ("class", "INT64", [3, 1]), ("alone", "BOOL", [True, False]),
]  # fmt: skip
OBJECTS = [{name: values[row] for name, _, values in COLUMNS} for row in (0, 1)]


def request():
    """Two rows."""
    inputs = [InferInput(name, [2], kind, data=values) for name, kind, values in COLUMNS]
    return InferRequest(model_name="tiny", infer_inputs=inputs)


def probabilities(response):
    """The answers as rows."""
    [output] = [one for one in response.outputs if one.name == "probabilities"]
    return output.as_numpy().reshape(2, -1).tolist()


async def main(http_port: str, grpc_port: str) -> None:
    """Asks whether the server lives, is ready, and predicts."""
    base, found = f"http://127.0.0.1:{http_port}", {}
    rest = InferenceRESTClient(RESTConfig(protocol="v2"))
    found["rest"] = probabilities(await rest.infer(base, request(), model_name="tiny"))
    ready = [await rest.is_server_live(base), await rest.is_server_ready(base), await rest.is_model_ready(base, "tiny")]
    found["rest, ready"] = ready
    first = InferenceRESTClient(RESTConfig(protocol="v1"))
    said = await first.infer(base, {"instances": OBJECTS}, model_name="tiny")
    found["rest, v1"] = [[row["died"], row["survived"]] for row in said["predictions"]]
    try:
        await first.infer(base, {"instances": [{"nobody": 1}]}, model_name="tiny")
    except Exception as error:
        found["rest, refused"] = str(getattr(error, "response", error))
    grpc = InferenceGRPCClient(f"127.0.0.1:{grpc_port}")
    found["grpc"] = probabilities(await grpc.infer(request()))
    ready = [await grpc.is_server_live(), await grpc.is_server_ready(), await grpc.is_model_ready("tiny")]
    found["grpc, ready"] = ready
    await grpc.close()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
