"""The few requests a rollout sends to the Kubernetes API; documents go in and come out as plain JSON."""

from __future__ import annotations

import json
import time
from itertools import islice
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

from lifeboat.config.errors import DeployError
from lifeboat.system.backoff import pauses

Document = dict[str, Any]
MANAGER = "lifeboat"
SELDON = "/apis/machinelearning.seldon.io/v1"
# The version that Seldon's operator 1.17.1 writes, and that Istio serves to this day.
ISTIO = "/apis/networking.istio.io/v1alpha3"
LEASES = "/apis/coordination.k8s.io/v1"
TIMEOUTS = (5, 20)
TRIES, PAUSE, LONGEST_PAUSE, TROUBLE = 5, 1.0, 4.0, (429, 500, 502, 503, 504)
APPLY, JSON = "application/apply-patch+yaml", "application/json"


class ConflictError(DeployError):
    """Someone else wrote the object first."""


class Cluster:
    """One SeldonDeployment and what the operator makes of it.

    Every method raises DeployError with one sentence, ConflictError where another writer was faster.

    Args:
        api: a client of the Kubernetes API.
        namespace, name: of the SeldonDeployment.
    """

    def __init__(self, api: client.ApiClient, namespace: str, name: str) -> None:
        self._api, self.namespace, self.name = api, namespace, name
        self._objects = f"{SELDON}/namespaces/{namespace}/seldondeployments"
        self._leases = f"{LEASES}/namespaces/{namespace}/leases"

    def read(self, name: str = "") -> Document | None:
        """The SeldonDeployment, or another of that name; None where there is none."""
        return self._find(f"{self._objects}/{name or self.name}", "show it")

    def virtual_service(self) -> Document | None:
        """What Istio splits its traffic by, as the operator wrote it; None where there is none."""
        path = f"{ISTIO}/namespaces/{self.namespace}/virtualservices/{self.name}"
        return self._find(path, "show its VirtualService")

    def create(self, document: Document) -> Document:
        """Makes the SeldonDeployment; ConflictError if it exists."""
        return self._write("POST", self._objects, document, JSON, fieldManager=MANAGER)

    def apply(self, document: Document) -> Document:
        """Server-side apply; with a resourceVersion in the metadata only onto that very state."""
        path = f"{self._objects}/{self.name}"
        return self._write("PATCH", path, document, APPLY, fieldManager=MANAGER, force="true")

    def lease(self) -> Document | None:
        """The Lease that says whose rollout of it is in progress; None before the first one."""
        return self._find(f"{self._leases}/{self.name}", "show its Lease")

    def write_lease(self, spec: Document, found: Document | None) -> None:
        """Makes the Lease, or replaces the one that was found; ConflictError if it has changed since."""
        if found is None:
            head = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": self.name}}
            self._write("POST", self._leases, {**head, "spec": spec}, JSON, "write its Lease", fieldManager=MANAGER)
        else:
            path = f"{self._leases}/{self.name}"
            self._write("PUT", path, {**found, "spec": spec}, JSON, "write its Lease", fieldManager=MANAGER)

    def deployments(self) -> list[Document]:
        """Those of the SeldonDeployment."""
        return self._list("/apis/apps/v1", "deployments")

    def replica_sets(self) -> list[Document]:
        """Those of the SeldonDeployment."""
        return self._list("/apis/apps/v1", "replicasets")

    def pods(self) -> list[Document]:
        """Those of the SeldonDeployment."""
        return self._list("/api/v1", "pods")

    def last_words(self, pod: str, container: str, lines: int = 5) -> str:
        """The last lines a container wrote before it ended; why they cannot be read, if so."""
        query = {"container": container, "previous": "true", "tailLines": str(lines)}
        try:
            path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}/log"
            # As it is: the client would take a line of JSON for a document.
            text = self._call("GET", path, query, None, JSON, None).data.decode(errors="replace")
        except (ApiException, HTTPError) as error:
            return f"its log cannot be read: {_reason(error)}"
        return f"its last words: {' | '.join(text.strip().splitlines()) or 'none'}"

    def _find(self, path: str, what: str) -> Document | None:
        try:
            return self._ask("GET", path)
        except ApiException as error:
            if error.status == 404:
                return None
            raise self._refused(what, error) from error

    def _list(self, group: str, kind: str) -> list[Document]:
        path = f"{group}/namespaces/{self.namespace}/{kind}"
        try:
            answer = self._ask("GET", path, labelSelector=f"seldon-deployment-id={self.name}")
        except ApiException as error:
            raise self._refused(f"list the {kind}", error) from error
        items: list[Document] = answer["items"]
        return items

    def _write(
        self, method: str, path: str, document: Document, content: str, what: str = "change it", **query: str
    ) -> Document:
        try:
            return self._ask(method, path, document, content, **query)
        except ApiException as error:
            if error.status == 409:
                raise ConflictError(f"{self._place()} was changed by someone else meanwhile") from error
            raise self._refused(what, error) from error

    def _ask(self, method: str, path: str, body: Document | None = None, content: str = JSON, **query: str) -> Document:
        """One request; a reading that met an API server in trouble is tried again, a rollout is longer than that."""
        waits = islice(pauses(PAUSE, LONGEST_PAUSE), TRIES - 1 if method == "GET" else 0)
        while True:
            try:
                found: Document = self._call(method, path, query, body, content, "object")
            except ApiException as error:
                wait = next(waits, None) if error.status in TROUBLE else None
                if wait is None:
                    raise
            except (HTTPError, OSError) as error:
                wait = next(waits, None)
                if wait is None:
                    raise DeployError(f"the Kubernetes API cannot be reached: {_reason(error)}") from error
            else:
                return found
            time.sleep(wait)

    def _call(
        self, method: str, path: str, query: dict[str, str], body: Document | None, content: str, kind: str | None
    ) -> Any:
        return self._api.call_api(
            path,
            method,
            query_params=list(query.items()),
            header_params={"Content-Type": content, "Accept": JSON},
            body=body,
            response_type=kind,
            auth_settings=["BearerToken"],
            _return_http_data_only=True,
            _preload_content=kind is not None,
            _request_timeout=TIMEOUTS,
        )

    def _refused(self, what: str, error: ApiException) -> DeployError:
        return DeployError(f"the cluster refused to {what} ({self._place()}): {_reason(error)}")

    def _place(self) -> str:
        return f"SeldonDeployment {self.namespace}/{self.name}"


def connect() -> client.ApiClient:
    """A client of the cluster this process runs in, else of the one $KUBECONFIG names.

    Raises:
        DeployError: neither is there.
    """
    configuration = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)
    except ConfigException:
        try:
            config.load_kube_config(client_configuration=configuration)
        except (ConfigException, OSError) as error:
            raise DeployError(f"no cluster: neither inside of one nor a usable $KUBECONFIG: {error}") from error
    configuration.retries = 1
    return client.ApiClient(configuration)


def _reason(error: Exception) -> str:
    """The API's own message, on one line."""
    if not isinstance(error, ApiException) or not error.body:
        return " ".join(str(getattr(error, "reason", None) or error).split())
    try:
        document = json.loads(error.body)
    except ValueError:
        return f"{error.status} {error.reason}"
    return f"{error.status} {' '.join(str(document.get('message', error.reason)).split())}"
