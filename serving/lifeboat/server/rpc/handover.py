"""What gRPC's library does not let one do with the sockets of its server, done from beside it.

It adopts no socket, so that two servers share a port by SO_REUSEPORT; and whoever stops it has it cancel the calls that
have reached it and wait. So a server stops only when nobody is connected any more: the newest server gets the new
connections, and those of the old one end by themselves, as all of them do when they reach their age.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import stat
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Linux's SO_ATTACH_REUSEPORT_CBPF, which Python does not name, and the only instruction of its program: return 1.
_ATTACH = 51
_RETURN_1 = struct.pack("HBBI", 0x06, 0, 0, 1)
# In which a server that has stopped to get connections takes those that were given to it before.
_QUEUE_SECONDS = 0.1
_LOOK_SECONDS = 0.05


def take_new_connections(port: int) -> None:
    """Lets this process have the new connections of a port that it shares with the one before.

    The sockets of a port are numbered as they begin to listen, and when one ends the last takes its number: so the
    second is the newest, and where there is no second Linux takes the one that there is. Other systems divide the
    connections among both for the moment in which there are two.
    """
    if sys.platform != "linux":
        return
    code = ctypes.create_string_buffer(_RETURN_1)
    program = struct.pack("H6xP", 1, ctypes.addressof(code))
    with _sockets(port) as found:
        for one in found:
            if _listens(one):
                one.setsockopt(socket.SOL_SOCKET, _ATTACH, program)


async def let_clients_go(port: int, seconds: float) -> None:
    """Takes no more connections and waits until those that there are have ended.

    Args:
        port: that this process listens on.
        seconds: to wait at most.
    """
    await asyncio.sleep(_QUEUE_SECONDS)
    with _sockets(port) as found:
        for one in found:
            if _listens(one):
                one.shutdown(socket.SHUT_RDWR)
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while _is_connected(port) and loop.time() < end:
        await asyncio.sleep(_LOOK_SECONDS)


def _is_connected(port: int) -> bool:
    with _sockets(port) as found:
        for one in found:
            with suppress(OSError):
                one.getpeername()
                return True
    return False


def _listens(one: socket.socket) -> bool:
    return bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


@contextmanager
def _sockets(port: int) -> Iterator[list[socket.socket]]:
    """Copies of this process's TCP sockets of a port of its own."""
    found: list[socket.socket] = []
    try:
        for link in Path("/dev/fd").iterdir():
            with suppress(OSError):  # closed since, such as that of the listing itself
                if stat.S_ISSOCK(os.fstat(int(link.name)).st_mode):
                    _keep(socket.socket(fileno=os.dup(int(link.name))), port, found)
        yield found
    finally:
        for one in found:
            one.close()


def _keep(copy: socket.socket, port: int, found: list[socket.socket]) -> None:
    name = copy.getsockname() if copy.family in (socket.AF_INET, socket.AF_INET6) else ("", 0)
    if name[1] == port and copy.type == socket.SOCK_STREAM:
        found.append(copy)
    else:
        copy.close()
