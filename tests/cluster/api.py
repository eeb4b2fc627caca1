"""Plain JSON requests to an API server, for what a test puts there and looks up."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException

Document = dict[str, Any]
MERGE = "application/merge-patch+json"
SELDON = "/apis/machinelearning.seldon.io/v1"
ISTIO = "/apis/networking.istio.io/v1alpha3"


class Api:
    """An API server as an administrator sees it.

    Args:
        api: the client.
    """

    def __init__(self, api: client.ApiClient) -> None:
        self.client = api

    def get(self, path: str) -> Document | None:
        """None where there is none."""
        try:
            return self._call("GET", path)
        except ApiException as error:
            if error.status == 404:
                return None
            raise

    def wait_for(self, path: str, seconds: float) -> None:
        """Until a kind is served: a moment after its definition was taken."""
        deadline = time.monotonic() + seconds
        while self.get(path) is None:
            assert time.monotonic() < deadline, f"{path} is not served"
            time.sleep(0.1)

    def items(self, path: str) -> list[Document]:
        found: list[Document] = self._call("GET", path)["items"]
        return found

    def post(self, path: str, body: Document) -> Document:
        return self._call("POST", path, body)

    def ensure(self, path: str, body: Document) -> None:
        """Makes it, or leaves it as it is."""
        try:
            self.post(path, body)
        except ApiException as error:
            if error.status != 409:
                raise

    def patch(self, path: str, body: Document) -> Document:
        return self._call("PATCH", path, body, MERGE)

    def replace(self, path: str, body: Document) -> Document:
        """If nobody changed it since it was read."""
        return self._call("PUT", path, body)

    def delete(self, path: str, propagation: str = "Background") -> None:
        """At once, or for Foreground when what belongs to it is gone."""
        try:
            self._call("DELETE", path, {"gracePeriodSeconds": 0, "propagationPolicy": propagation})
        except ApiException as error:
            if error.status != 404:
                raise

    def _call(self, method: str, path: str, body: Document | None = None, content: str = "application/json") -> Any:
        return self.client.call_api(
            path,
            method,
            header_params={"Content-Type": content, "Accept": "application/json"},
            body=body,
            response_type="object",
            auth_settings=["BearerToken"],
            _return_http_data_only=True,
            _request_timeout=20,
        )


def kubeconfig(path: Path, used: client.ApiClient) -> Path:
    """Writes what a client of ours uses to a file, for another program."""
    given: client.Configuration = used.configuration
    files = {"client-certificate": given.cert_file, "client-key": given.key_file}
    user = {"token": given.api_key.get("authorization", "").removeprefix("Bearer "), **files}
    cluster = {"server": given.host, "certificate-authority": given.ssl_ca_cert}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tests", "cluster": {key: value for key, value in cluster.items() if value}}],
        "users": [{"name": "tests", "user": {key: value for key, value in user.items() if value}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
        "current-context": "tests",
    }
    path.write_text(json.dumps(document))
    return path


def message(error: ApiException) -> str:
    """The API server's own words."""
    return str(json.loads(error.body)["message"])
