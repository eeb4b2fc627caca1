"""The SeldonDeployment of a rollout: composed from the cluster's template, read back from the cluster.

What stands in `kustomize/base/model` is in the cluster as the object `model-template`, as the overlay made it. A
predictor is a copy of the template's one, with name, image, version and digest set; a predictor that serves already
stays byte for byte what it is, so that no pod of it restarts. The state of a rollout is in annotations:

- of the SeldonDeployment: `lifeboat/champion`, the digest that holds the traffic ('' before the first one does), and
  `lifeboat/challenger`, the one on trial
- of each predictor: `lifeboat/digest` and `lifeboat/version`.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from lifeboat.config.errors import DeployError
from lifeboat.registry.versions import Version

Document = dict[str, Any]
TEMPLATE = "model-template"
CHAMPION, CHALLENGER = "lifeboat/champion", "lifeboat/challenger"
DIGEST, VERSION, PREDICTOR = "lifeboat/digest", "lifeboat/version", "lifeboat/predictor"
CONTROLLER = "seldon.io/controller-id"
NAMES = ("blue", "green")
_SET = {
    "LIFEBOAT_FETCH_USECASE": lambda version: version.name,
    "LIFEBOAT_FETCH_DIGEST": lambda version: version.digest,
    "LIFEBOAT_SERVER_MODEL_VERSION": lambda version: version.version,
}


@dataclass(frozen=True)
class Predictor:
    """A predictor as it stands in a SeldonDeployment."""

    document: Document

    @property
    def name(self) -> str:
        return str(self.document["name"])

    @property
    def digest(self) -> str:
        return str(self.document.get("annotations", {}).get(DIGEST, ""))

    @property
    def version(self) -> str:
        return str(self.document.get("annotations", {}).get(VERSION, ""))

    @property
    def traffic(self) -> int:
        """Per cent; a lone predictor without a figure has it all."""
        return int(self.document.get("traffic", 0))

    def with_traffic(self, percent: int, *, shadow: bool = False) -> Predictor:
        """The same predictor with another share, or as one that sees a copy of the traffic."""
        rest = {key: value for key, value in self.document.items() if key not in ("traffic", "shadow")}
        return Predictor({**rest, **({"shadow": True} if shadow else {"traffic": percent})})

    @property
    def is_shadow(self) -> bool:
        return bool(self.document.get("shadow", False))

    def steady(self) -> Predictor:
        """The same predictor with `replicas` in force, and no autoscaler.

        A version comes up like this. With an autoscaler Seldon's operator leaves a Deployment's number of pods alone: a
        new one starts with a single pod, and one that is asleep would never wake, since no autoscaler counts from 0.
        """
        return self._without("hpaSpec", "kedaSpec")

    def unguarded(self) -> Predictor:
        """The same predictor without a disruption budget.

        That of one predictor selects the pods of all, and Kubernetes evicts no pod that two of them select: with one
        for each, no node could be drained as long as a rollout lasts.
        """
        return self._without("pdbSpec")

    def guarded(self, template: Document) -> Predictor:
        """The same predictor with the template's disruption budget."""
        document = copy.deepcopy(self.document)
        for component, model in zip(document["componentSpecs"], _components(template), strict=False):
            if "pdbSpec" in model:
                component["pdbSpec"] = model["pdbSpec"]
        return Predictor(document)

    @property
    def is_awake(self) -> bool:
        return int(self.document.get("replicas", 1)) > 0

    def asleep(self) -> Predictor:
        """The same predictor without a pod."""
        return Predictor({**self.steady().document, "replicas": 0})

    def _without(self, *keys: str) -> Predictor:
        """The same predictor, none of its componentSpecs with these."""
        parts = [
            {key: value for key, value in part.items() if key not in keys} for part in self.document["componentSpecs"]
        ]
        return Predictor({**self.document, "componentSpecs": parts})


def predictors(live: Document | None) -> list[Predictor]:
    """Those of a SeldonDeployment, none where there is none."""
    return [Predictor(document) for document in live["spec"]["predictors"]] if live else []


def annotation(live: Document | None, key: str) -> str:
    """An annotation of it, '' where it has none."""
    return str((live or {}).get("metadata", {}).get("annotations", {}).get(key, ""))


def champion(live: Document | None) -> Predictor | None:
    """The predictor that holds the traffic."""
    digest = annotation(live, CHAMPION)
    return next((found for found in predictors(live) if digest and found.digest == digest), None)


def left_behind(live: Document | None, digest: str) -> Predictor | None:
    """The challenger of that digest that a rollout which ended in the middle left with a share of the traffic."""
    if annotation(live, CHALLENGER) != digest:
        return None
    return next(
        (found for found in predictors(live) if found.digest == digest and (found.traffic or found.is_shadow)), None
    )


def other_name(name: str) -> str:
    """The name of the two that a challenger takes."""
    return NAMES[1] if name == NAMES[0] else NAMES[0]


def predictor(template: Document, name: str, version: Version, image: str = "") -> Predictor:
    """A predictor for a version, made from the template's.

    Raises:
        DeployError: the template does not hold what has to be set.
    """
    made: Document = copy.deepcopy(template["spec"]["predictors"][0])
    model = made["graph"]["name"]
    unset = set(_SET)
    for component in made.get("componentSpecs", []):
        component.setdefault("metadata", {}).setdefault("labels", {})[PREDICTOR] = name
        for container in _containers(component):
            unset -= _fill(container, version)
            if container["name"] == model:
                container["name"] = version.name
            if image and container["image"] == _image(template, model):
                container["image"] = image
    if unset:
        raise DeployError(f"SeldonDeployment {TEMPLATE} has no environment variable {', '.join(sorted(unset))} to set")
    made["graph"]["name"] = version.name
    made["annotations"] = {**made.get("annotations", {}), DIGEST: version.digest, VERSION: version.version}
    return Predictor({**made, "name": name})


def _components(template: Document) -> list[Document]:
    found: list[Document] = template["spec"]["predictors"][0].get("componentSpecs", [])
    return found


def _containers(component: Document) -> list[Document]:
    return [*component["spec"].get("initContainers", []), *component["spec"]["containers"]]


def _image(template: Document, model: str) -> str:
    """The model server's image: the bundle is fetched by a container of the same one."""
    every = [container for component in _components(template) for container in component["spec"]["containers"]]
    return next(str(container["image"]) for container in every if container["name"] == model)


def _fill(container: Document, version: Version) -> set[str]:
    """Sets what is ours in a container's environment and gives the names."""
    filled = set()
    for entry in container.get("env", []):
        if entry["name"] in _SET:
            entry["value"] = _SET[entry["name"]](version)
            filled.add(entry["name"])
    return filled


def compose(template: Document, name: str, parts: list[Predictor], notes: dict[str, str]) -> Document:
    """The whole SeldonDeployment, as it is applied.

    Args:
        template: gives everything but the predictors.
        name: of the result.
        parts: its predictors; the first one is what `status.address` names.
        notes: its annotations.
    """
    metadata = template["metadata"]
    labels = {key: value for key, value in metadata.get("labels", {}).items() if key != CONTROLLER}
    spec = {**copy.deepcopy(template["spec"]), "predictors": [part.document for part in parts]}
    own = {key: value for key, value in metadata.get("annotations", {}).items() if "last-applied" not in key}
    return {
        "apiVersion": template["apiVersion"],
        "kind": template["kind"],
        "metadata": {"name": name, "labels": labels, "annotations": {**own, **notes}},
        "spec": spec,
    }


def carries(deployment: Document, predictor_name: str, digest: str) -> bool:
    """Whether a Deployment is the predictor's, and the operator has brought that digest into it."""
    if not belongs_to(deployment, predictor_name):
        return False
    entries = [entry for box in _containers(deployment["spec"]["template"]) for entry in box.get("env", [])]
    return any(entry["name"] == "LIFEBOAT_FETCH_DIGEST" and entry.get("value") == digest for entry in entries)


def belongs_to(deployment: Document, predictor_name: str) -> bool:
    """Whether a Deployment is the predictor's, of whatever version."""
    labels = deployment["spec"]["template"]["metadata"].get("labels", {})
    return bool(labels.get(PREDICTOR) == predictor_name)
