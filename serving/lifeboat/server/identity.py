"""Which model, version and bundle a server is: in every answer, metric and event."""

from __future__ import annotations

from dataclasses import dataclass

from lifeboat.server.model.onnx_model import Model
from lifeboat.server.settings import ServerSettings


@dataclass(frozen=True)
class Identity:
    """What a server serves.

    Args:
        name, version: of the model.
        digest: of its bundle.
    """

    name: str
    version: str
    digest: str

    @classmethod
    def of(cls, model: Model, settings: ServerSettings) -> Identity:
        """The settings' name and version, else the bundle's use case and the start of its digest."""
        digest = model.bundle.digest
        name = settings.model_name or model.bundle.usecase
        return cls(name, settings.model_version or digest[:12], digest)

    @property
    def tags(self) -> dict[str, str]:
        """For `meta.tags` of each answer."""
        return {"model_name": self.name, "model_version": self.version, "bundle_digest": self.digest}


def init_metadata(model: Model, identity: Identity) -> dict[str, object]:
    """Seldon's model metadata: inputs and outputs by name, and which bundle it is."""
    names, classes = list(model.schema.names), list(model.schema.label.classes)
    return {
        "name": identity.name,
        "versions": [identity.version],
        "platform": "onnx",
        "inputs": [{"messagetype": "ndarray", "schema": {"names": names, "shape": [len(names)]}}],
        "outputs": [{"messagetype": "ndarray", "schema": {"names": classes, "shape": [2]}}],
        # Seldon's custom fields are texts.
        "custom": {
            "bundle_digest": identity.digest,
            "usecase": model.bundle.usecase,
            "decision": model.bundle.decision.rule,
            "threshold": repr(model.bundle.decision.threshold),
        },
    }
