"""What is deployed on this machine, on record: beside a model server's state, and kept over its end and a power cut."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lifeboat.config.errors import BundleError, StorageError
from lifeboat.model.bundle import Bundle, open_bundle
from lifeboat.system.files import write_durably

FILE = "deployed.json"


@dataclass(frozen=True)
class Deployed:
    """The version of a model that was rolled out last.

    Args:
        name, version: of the model.
        digest: of its bundle.
        bundle: its directory.
        wanted: whether it should serve; `lifeboat stop` says no.
    """

    name: str
    version: str
    digest: str
    bundle: str
    wanted: bool = True

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not isinstance(value, bool if name == "wanted" else str):
                raise TypeError(f"its {name} is {json.dumps(value)}")

    def open(self) -> Bundle:
        """Its bundle, byte for byte what was rolled out.

        Raises:
            BundleError: it is not.
        """
        bundle = open_bundle(Path(self.bundle))
        if bundle.digest != self.digest:
            raise BundleError(f"{self.bundle} holds bundle {bundle.digest[:12]}, but {self.digest[:12]} was deployed")
        return bundle


def read_deployed(state: Path) -> Deployed | None:
    """What was deployed last in a model server's state directory; None where nothing ever was.

    Raises:
        StorageError: the record cannot be read.
    """
    try:
        return Deployed(**json.loads((state / FILE).read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise StorageError(f"{state / FILE} cannot be read: {error}; lifeboat run writes it anew") from error


def write_deployed(state: Path, deployed: Deployed) -> None:
    """Keeps it; raises StorageError."""
    write_durably(state / FILE, json.dumps(asdict(deployed), indent=1) + "\n")


def want(state: Path, *, wanted: bool) -> None:
    """Keeps whether what is deployed should serve; raises StorageError."""
    deployed = read_deployed(state)
    if deployed is not None and deployed.wanted != wanted:
        write_deployed(state, replace(deployed, wanted=wanted))
