"""`SeldonClient` of seldon-core: python seldon.py HTTP_PORT GRPC_PORT."""

import json
import sys

from seldon_core.seldon_client import SeldonClient
from seldon_core.utils import get_data_from_proto

NAMES = ["name", "port", "age", "class", "alone"]
ROWS = [["Ann", "C", 22.5, 3, True], ["Bob", None, None, 1, False]]


def main(http_port: str, grpc_port: str) -> None:
    """Predicts and tells a truth, as a model is asked and as a gateway is."""
    found = {}
    message = {"data": {"names": NAMES, "ndarray": ROWS}}
    for transport, port in (("rest", http_port), ("grpc", grpc_port)):
        address = f"localhost:{port}"
        model = SeldonClient(microservice_endpoint=address, transport=transport)
        said = model.microservice(json_data=[dict(zip(NAMES, row, strict=True)) for row in ROWS], method="predict")
        found[f"{transport}, a model"] = rows_of(said)
        gateway = SeldonClient(
            gateway="seldon", gateway_endpoint=address, transport=transport, client_return_type="proto"
        )
        said = gateway.predict(deployment_name="tiny", raw_data=message)
        found[f"{transport}, a gateway"] = rows_of(said)
        refused = gateway.predict(deployment_name="tiny", raw_data={"data": {"ndarray": [[1]]}})
        found[f"{transport}, refused"] = [refused.success, refused.msg]
        truth = gateway.feedback(said.request, said.response, reward=1, deployment_name="tiny")
        found[f"{transport}, feedback"] = [truth.success, truth.msg]
    json.dump(found, sys.stdout)


def rows_of(said):
    """The answers, or why there are none."""
    if not said.success or said.response is None:
        return said.msg
    return get_data_from_proto(said.response).tolist()


if __name__ == "__main__":
    main(*sys.argv[1:])
