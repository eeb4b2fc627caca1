"""The two sides that must agree: what terraform/ says, read without its tool, and its script."""

from __future__ import annotations

import re
from typing import Any

import yaml

from tests.infra.terraform.conftest import SOURCE
from tests.infra.terraform.test_layout import VARIABLES, blocks

IDENTITY = (SOURCE / "identity.tf").read_text()
SCRIPT = (SOURCE / "platform.sh").read_text()
PLATFORM = SOURCE / "platform"
GKE = ("staging", "production")


def namespaces() -> dict[str, str]:
    body = blocks(VARIABLES, "variable")["namespaces"]
    return dict(re.findall(r'^    (\w+) += optional\(string, "(.+)"\)', body, re.M))


def workloads() -> dict[str, str]:
    """Name and text of each in identity.tf."""
    body = IDENTITY[IDENTITY.index("  workloads = {") : IDENTITY.index("  bucket_roles = {")]
    return dict(re.findall(r"^    ([a-z-]+) = {\n(.*?)^    }$", body, re.M | re.S))


def field(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    assert found, pattern
    return found[1]


def namespace(workload: str) -> str:
    return namespaces()[field(workloads()[workload], r"namespace = var\.namespaces\.(\w+)")]


def lent() -> dict[str, str]:
    """NAMESPACE/ACCOUNT of Kubernetes, and the workload whose identity Terraform lends it."""
    return {
        f"{namespace(name)}/{account}": name
        for name, text in workloads().items()
        for account in re.findall(r'"([a-z-]+)"', field(text, r"accounts += \[(.*?)\]"))
    }


def documents(path: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((PLATFORM / path).read_text()))


def filled(step: str) -> dict[str, str]:
    """What a step of platform.sh fills in: CAPITALS and the output."""
    body = field(SCRIPT, rf"(?s)\n{step}\(\) {{\n(.*?)\n}}\n")
    return dict(re.findall(r'"([A-Z_]+)=(?:\$\(output ([\w.-]+)\)|\$\w+)"', body))


def holders() -> set[str]:
    """The workloads with a key to the buckets."""
    return {name for name, text in workloads().items() if "s3_key = true" in text}
