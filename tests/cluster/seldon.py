"""Seldon's own operator as a process beside the API server, where a file with its program is given.

    TEST_CLUSTER_OPERATOR=/path/to/manager make test-cluster

The program is `/manager` in the image docker.io/seldonio/seldon-core-operator:1.17.1, or what `go build` makes of the
folder `operator` of Seldon Core's source. Without it the stand-in of `operator.py` does its work.
"""

from __future__ import annotations

import base64
import os
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kubernetes import client

from tests.cluster import apiserver
from tests.cluster.api import Api, kubeconfig
from tests.ports import free_port

PROGRAM = "TEST_CLUSTER_OPERATOR"
SECONDS = 60.0
WEBHOOK = "/validate-machinelearning-seldon-io-v1-seldondeployment"
# As the chart seldon-core-operator 1.17.1 sets them, with Istio.
CHART = {
    "ISTIO_ENABLED": "true",
    "ISTIO_GATEWAY": "istio-system/seldon-gateway",
    "ISTIO_TLS_MODE": "",
    "AMBASSADOR_ENABLED": "false",
    "AMBASSADOR_VERSION": "v2",
    "KEDA_ENABLED": "false",
    "CONTROLLER_ID": "",
    "WATCH_NAMESPACE": "",
    "POD_NAMESPACE": "seldon-system",
    "DEFAULT_USER_ID": "8888",
    "DEPLOYMENT_NAME_AS_PREFIX": "false",
    "PREDICTIVE_UNIT_HTTP_SERVICE_PORT": "9000",
    "PREDICTIVE_UNIT_GRPC_SERVICE_PORT": "9500",
    "PREDICTIVE_UNIT_METRICS_PORT_NAME": "metrics",
    "PREDICTIVE_UNIT_DEFAULT_ENV_SECRET_REF_NAME": "",
    "EXECUTOR_CONTAINER_IMAGE_AND_VERSION": "docker.io/seldonio/seldon-core-executor:1.17.1",
    "EXECUTOR_CONTAINER_IMAGE_PULL_POLICY": "IfNotPresent",
    "EXECUTOR_CONTAINER_USER": "8888",
    "EXECUTOR_CONTAINER_SERVICE_ACCOUNT_NAME": "default",
    "EXECUTOR_PROMETHEUS_PATH": "/prometheus",
    "EXECUTOR_SERVER_PORT": "8000",
    "EXECUTOR_SERVER_METRICS_PORT_NAME": "metrics",
    "EXECUTOR_REQUEST_LOGGER_DEFAULT_ENDPOINT": "http://default-broker",
    "EXECUTOR_REQUEST_LOGGER_WORK_QUEUE_SIZE": "10000",
    "EXECUTOR_REQUEST_LOGGER_WRITE_TIMEOUT_MS": "2000",
    "EXECUTOR_DEFAULT_CPU_REQUEST": "500m",
    "EXECUTOR_DEFAULT_CPU_LIMIT": "500m",
    "EXECUTOR_DEFAULT_MEMORY_REQUEST": "512Mi",
    "EXECUTOR_DEFAULT_MEMORY_LIMIT": "512Mi",
    "EXECUTOR_FULL_HEALTH_CHECKS": "false",
}


def program() -> Path | None:
    """The operator's program, if one is given; AssertionError where it is not one."""
    given = os.environ.get(PROGRAM)
    assert not given or shutil.which(given), f"{PROGRAM} is {given}, which is no program"
    return Path(given).absolute() if given else None


@contextmanager
def running(folder: Path, admin: client.ApiClient) -> Iterator[None]:
    """The operator works for the block, and its webhook checks each SeldonDeployment; nothing where none is given.

    Args:
        folder: for its files; its log is operator.log.
        admin: a client with all rights, which the operator gets as well.
    """
    chosen = program()
    if chosen is None:
        yield
        return
    certificates = folder / "k8s-webhook-server" / "serving-certs"
    certificates.mkdir(parents=True)
    certificate, key = apiserver.self_signed(certificates)
    certificate.rename(certificates / "tls.crt")
    key.rename(certificates / "tls.key")
    config = kubeconfig(folder / "operator.kubeconfig", admin)
    port = free_port()
    command = [
        str(chosen), f"--kubeconfig={config}", f"--webhook-port={port}", "--metrics-addr=0",
        "--log-level=INFO",
    ]  # fmt: skip
    # TMPDIR is where it looks for its certificate.
    with apiserver.process(command, folder / "operator.log", CHART | {"TMPDIR": str(folder)}):
        _wait(f"https://127.0.0.1:{port}{WEBHOOK}", certificates / "tls.crt")
        with _asked(Api(admin), port, certificates / "tls.crt"):
            yield


@contextmanager
def _asked(api: Api, port: int, certificate: Path) -> Iterator[None]:
    """The API server asks its webhook, as the chart has it, but at an address of this machine."""
    others = {"matchExpressions": [{"key": "seldon.io/controller-id", "operator": "DoesNotExist"}]}
    rule = {"apiGroups": ["machinelearning.seldon.io"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"]}
    bundle = base64.b64encode(certificate.read_bytes()).decode()
    hook = {
        "name": "v1.vseldondeployment.kb.io",
        "admissionReviewVersions": ["v1", "v1beta1"],
        "clientConfig": {"url": f"https://127.0.0.1:{port}{WEBHOOK}", "caBundle": bundle},
        "failurePolicy": "Fail",
        "namespaceSelector": others,
        "objectSelector": others,
        "rules": [{**rule, "resources": ["seldondeployments"]}],
        "sideEffects": "None",
    }
    head = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
    name, path = "seldon-validating-webhook", "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    api.post(path, {**head, "metadata": {"name": name}, "webhooks": [hook]})
    try:
        yield
    finally:
        api.delete(f"{path}/{name}")


def _wait(url: str, certificate: Path) -> None:
    deadline = time.monotonic() + SECONDS
    context = ssl.create_default_context(cafile=str(certificate))
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5, context=context).close()
        except urllib.error.HTTPError:  # it wants another question, but it is there
            return
        except OSError:
            time.sleep(0.2)
        else:
            return
    log = certificate.parents[2] / "operator.log"
    raise AssertionError(f"Seldon's operator is not ready: {log.read_text()[-3000:]}")
