"""Compiles the protocols of gRPC, in every build of the package: `hatch` and the images' Dockerfile call this.

What comes of it is a set of descriptors, from which any version of protobuf's library makes the classes; code that
protoc writes would bind us to its own version.
"""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # called by itself
    BuildHookInterface = object

FOLDER = Path("serving/lifeboat/server/rpc")
COMPILED = "protocols.binpb"


class CompileProtocols(BuildHookInterface):  # type: ignore[misc,valid-type]
    """Of a wheel, of an editable install, and of a source archive."""

    def initialize(self, _version: str, build_data: dict[str, Any]) -> None:
        """Compiles, and has the result go along."""
        compile_protocols(Path(self.root))
        build_data["artifacts"].append(f"/{FOLDER}/{COMPILED}")


def compile_protocols(root: Path) -> None:
    """Writes the descriptors beside the protocols.

    Args:
        root: of the repository.

    Raises:
        SystemExit: protoc refuses one.
    """
    from grpc_tools import protoc

    folder = root / FOLDER
    made = folder / f"{COMPILED}.new"
    included = files("grpc_tools") / "_proto"
    words = [f"--proto_path={folder}", f"--proto_path={included}", "--include_imports", f"--descriptor_set_out={made}"]
    if protoc.main(["protoc", *words, *sorted(path.name for path in folder.glob("*.proto"))]):
        raise SystemExit("the protocols of gRPC cannot be compiled")
    made.replace(folder / COMPILED)


if __name__ == "__main__":
    compile_protocols(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent)
