"""The programs that the platform's charts install, built once from their Go modules."""

from __future__ import annotations

from tests.cluster.go import Program

# As their makefiles do: a program names itself by its version.
_STAMP = "-X github.com/prometheus/common/version.Version="


def _program(name: str, module: str, version: str, command: str, tags: str = "") -> Program:
    return Program(name, module, version, command, f"{_STAMP}{version}", tags)


# What the charts kube-prometheus-stack 87.17.0 and prometheus-adapter 5.3.0 install. Debian's own Prometheus is built
# without Kubernetes, so it takes no configuration of the operator.
OPERATOR = _program(
    "prometheus-operator", "github.com/prometheus-operator/prometheus-operator", "0.92.1", "cmd/operator"
)
PROMETHEUS = _program(
    "prometheus", "github.com/prometheus/prometheus", "0.313.1", "cmd/prometheus", "remove_all_sd,enable_kubernetes_sd"
)
ADAPTER = _program("prometheus-adapter", "sigs.k8s.io/prometheus-adapter", "0.12.0", "cmd/adapter")
