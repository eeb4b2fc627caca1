"""A real API server, Istio's control plane, and a real Envoy as its ingress gateway.

What this is not: Istio's own build of the proxy, sidecars, and certificates of its CA.
"""

from __future__ import annotations

import json
import time
import urllib.error
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from tests.cluster import apiserver
from tests.cluster.api import Api, Document, kubeconfig
from tests.cluster.conftest import configured
from tests.cluster.go import Program
from tests.documents import read_all
from tests.ports import free_port
from tests.server.world import ROOT, call

# The next release, of which the module is served: 1.31 to be.
ISTIOD = Program(
    "pilot-discovery", "istio.io/istio", "0.0.0-20260827124520-eed52ebb66ad", "pilot/cmd/pilot-discovery", ""
)
# Of go.mod: with such a version Go leaves out modules that nothing imports, one of which asks for what is not there.
PRUNED = "\ngo 1.26.0\n"
SECONDS = 60.0
NAMESPACE = "istio-system"
# Of the gateway: no endpoint may have it, else the gateway would be taken for that workload.
ADDRESS = "127.0.0.9"
# Upstream's Envoy has not all of Istio's filters, and refuses what names one that it lacks.
ENVIRONMENT = {
    "POD_NAMESPACE": "istio-system", "POD_NAME": "istiod-0", "CLUSTER_ID": "Kubernetes", "ENABLE_CA_SERVER": "false",
    "PILOT_CERT_PROVIDER": "none", "INJECT_ENABLED": "false", "VALIDATION_ENABLED": "false",
    "PILOT_ENABLE_AMBIENT": "false", "PILOT_ENABLE_GATEWAY_API": "false", "PILOT_ENABLE_METADATA_EXCHANGE": "false",
    "PILOT_ENABLE_ALPN_FILTER": "false",
}  # fmt: skip
MESH = {"enableAutoMtls": False, "defaultProviders": {"metrics": [], "tracing": [], "accessLogging": []}}


def envoy() -> Path:
    """The program, which `make test-mesh` installs."""
    found = next((ROOT / ".venvs" / "envoy").glob("lib/*/site-packages/envoy/_bin/envoy"), None)
    if found is None:
        pytest.skip("needs Envoy, which make test-mesh installs")
    return found


class Issuer:
    """Somebody who signs tokens (RS256)."""

    def __init__(self, name: str) -> None:
        self.name, self._key = name, rsa.generate_private_key(65537, 2048)

    @property
    def keys(self) -> str:
        """The public half as a JWKS."""
        public = self._key.public_key().public_numbers()
        numbers = {name: _text(value.to_bytes((value.bit_length() + 7) // 8)) for name, value in
                   (("n", public.n), ("e", public.e))}  # fmt: skip
        return json.dumps({"keys": [{"kty": "RSA", "kid": "one", "alg": "RS256", "use": "sig", **numbers}]})

    def token(self, subject: str, seconds: float = 600, **claims: Any) -> str:
        """For the header Authorization."""
        head = {"alg": "RS256", "kid": "one", "typ": "JWT"}
        body = {"iss": self.name, "sub": subject, "exp": int(time.time() + seconds), **claims}
        signed = f"{_text(json.dumps(head).encode())}.{_text(json.dumps(body).encode())}"
        return f"Bearer {signed}.{_text(self._key.sign(signed.encode(), padding.PKCS1v15(), SHA256()))}"


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


@contextmanager
def gateway(folder: Path, documents: list[dict[str, Any]], server: int) -> Iterator[str]:
    """Istio with these documents besides a way to a model server, and Envoy as it configures it; gives its URL.

    Args:
        folder: for files and logs.
        documents: of Istio.
        server: port of the model server on this machine.
    """
    xds, port = free_port(), free_port()
    (folder / "mesh.yaml").write_text(yaml.safe_dump(MESH))
    (folder / "envoy.yaml").write_text(yaml.safe_dump(_bootstrap(xds)))
    with ExitStack() as stack:
        admin = configured(stack.enter_context(apiserver.running(folder)), apiserver.ADMIN)
        _install(Api(admin), [*_way(port, server), *documents])
        istiod = [
            str(ISTIOD.build(PRUNED)), "discovery", f"--kubeconfig={kubeconfig(folder / 'kubeconfig', admin)}",
            f"--meshConfig={folder / 'mesh.yaml'}", f"--httpAddr=127.0.0.1:{free_port()}", "--httpsAddr=",
            f"--grpcAddr=127.0.0.1:{xds}", "--secureGRPCAddr=", f"--monitoringAddr=127.0.0.1:{free_port()}",
        ]  # fmt: skip
        stack.enter_context(apiserver.process(istiod, folder / "istiod.log", ENVIRONMENT))
        proxy = [str(envoy()), "-c", str(folder / "envoy.yaml"), "--use-dynamic-base-id"]
        stack.enter_context(apiserver.process(proxy, folder / "envoy.log"))
        url = f"http://127.0.0.1:{port}"
        _until_it_answers(url, folder)
        yield url


def _install(api: Api, documents: list[Document]) -> None:
    """Istio's definitions, a namespace, and what is in it."""
    file = ISTIOD.downloaded("Dir") / "manifests/charts/base/files/crd-all.gen.yaml"
    kinds = [document for document in read_all(file.read_text()) if document]
    for kind in kinds:
        api.ensure("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", kind)
    api.ensure("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    plurals = {kind["spec"]["names"]["kind"]: kind["spec"]["names"]["plural"] for kind in kinds}
    for document in documents:
        path = f"/apis/{document['apiVersion']}/namespaces/{NAMESPACE}/{plurals[document['kind']]}"
        api.wait_for(path, SECONDS)
        api.post(path, document)


def _way(port: int, server: int) -> list[dict[str, Any]]:
    """From the gateway to the model server, as Seldon's operator would name it."""
    host = "titanic.lifeboat.svc.cluster.local"
    gate = {"selector": {"istio": "ingressgateway"},
            "servers": [{"port": {"number": port, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]}  # fmt: skip
    entry = {"hosts": [host], "location": "MESH_INTERNAL", "resolution": "STATIC",
             "ports": [{"number": 8000, "name": "http", "protocol": "HTTP", "targetPort": server}],
             "endpoints": [{"address": "127.0.0.1"}]}  # fmt: skip
    routes = [{"route": [{"destination": {"host": host, "port": {"number": 8000}}}]}]
    way = {"hosts": ["*"], "gateways": ["istio-system/seldon-gateway"], "http": routes}
    return [
        _document("networking.istio.io/v1", "Gateway", "seldon-gateway", gate),
        _document("networking.istio.io/v1", "ServiceEntry", "titanic", entry),
        _document("networking.istio.io/v1", "VirtualService", "titanic", way),
    ]


def _document(version: str, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def _bootstrap(xds: int) -> dict[str, Any]:
    ads: dict[str, Any] = {"ads": {}, "resource_api_version": "V3"}
    source = {
        "api_type": "GRPC", "transport_api_version": "V3", "set_node_on_first_message_only": True,
        "grpc_services": [{"envoy_grpc": {"cluster_name": "istiod"}}],
    }  # fmt: skip
    address = {"socket_address": {"address": "127.0.0.1", "port_value": xds}}
    cluster = {
        "name": "istiod", "type": "STATIC", "connect_timeout": "1s",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}}}},
        "load_assignment": {"cluster_name": "istiod",
                            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]},
    }  # fmt: skip
    metadata = {
        "LABELS": {"istio": "ingressgateway"}, "NAMESPACE": "istio-system", "CLUSTER_ID": "Kubernetes",
        "ISTIO_VERSION": "1.31.0", "INSTANCE_IPS": ADDRESS,
    }  # fmt: skip
    node = f"router~{ADDRESS}~gateway-0.istio-system~istio-system.svc.cluster.local"
    return {
        "node": {"id": node, "cluster": "gateway", "metadata": metadata},
        "dynamic_resources": {"ads_config": source, "lds_config": ads, "cds_config": ads},
        "static_resources": {"clusters": [cluster]},
    }


def _until_it_answers(url: str, folder: Path) -> None:
    """Until the gateway listens and knows its way: by a path that every policy lets somebody ask or refuses."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            if call(f"{url}/livez").status in (200, 401, 403):
                return
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.2)
    logs = "".join((folder / name).read_text()[-3000:] for name in ("istiod.log", "envoy.log"))
    raise AssertionError(f"the gateway does not answer: {logs}")
