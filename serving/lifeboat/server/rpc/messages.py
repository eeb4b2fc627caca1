"""The messages of the protocols, made of the descriptors that the build compiled."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from lifeboat.config.errors import SettingsError

COMPILED = Path(__file__).with_name("protocols.binpb")
# Its services in the order in which they are told.
INFERENCE, SELDON, MODEL = "inference.GRPCInferenceService", "seldon.protos.Seldon", "seldon.protos.Model"


@cache
def message(name: str) -> type[Message]:
    """The class of a message by its full name, such as `inference.ModelInferRequest`."""
    found: type[Message] = message_factory.GetMessageClass(pool().FindMessageTypeByName(name))
    return found


def methods(service: str) -> dict[str, tuple[type[Message], type[Message]]]:
    """Of each method of a service the classes of request and response."""
    found: Any = pool().FindServiceByName(service).methods
    return {one.name: (message(one.input_type.full_name), message(one.output_type.full_name)) for one in found}


@cache
def pool() -> descriptor_pool.DescriptorPool:
    """The protocols, in a pool of their own: that of the process may hold another edition, such as a client's.

    Raises:
        SettingsError: nothing was compiled.
    """
    try:
        described = descriptor_pb2.FileDescriptorSet.FromString(COMPILED.read_bytes())
    except OSError as error:
        raise SettingsError(f"{COMPILED} is missing: `python hatch_build.py` makes it, as every build does") from error
    made = descriptor_pool.DescriptorPool()
    for file in described.file:
        made.AddSerializedFile(file.SerializeToString())
    return made
