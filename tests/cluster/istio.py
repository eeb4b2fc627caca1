"""The kinds of Istio that Seldon's operator writes, as the API server has to know them: any content is taken."""

from __future__ import annotations

from tests.cluster.api import Document

GROUP, VERSION = "networking.istio.io", "v1alpha3"
KINDS = ("VirtualService", "DestinationRule")


def definitions() -> list[Document]:
    """A CustomResourceDefinition for each."""
    return [_definition(kind) for kind in KINDS]


def _definition(kind: str) -> Document:
    plural = f"{kind.lower()}s"
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": anything, "status": anything}}}
    version = {"name": VERSION, "served": True, "storage": True, "schema": schema, "subresources": {"status": {}}}
    names = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {"group": GROUP, "names": names, "scope": "Namespaced", "versions": [version]},
    }
