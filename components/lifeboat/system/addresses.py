"""Addresses to listen on, and who listens on one already."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lifeboat.config.errors import SettingsError
from lifeboat.system.markup import terminal_text

_PROC = Path("/proc")
# The state LISTEN of /proc/net/tcp.
_LISTENING = "0A"
_LOOPBACK = ("localhost", "ip6-localhost")
# Services that have ports of a home, as people and the home's file of ports know them.
DETECTOR, EXPLAINER, HOME_PAGE = "the drift detector", "the explainer", "the home page"
# The programs of those that there is one of in a home, which work in a folder of the home.
_MODULES = {"lifeboat.detector": DETECTOR, "lifeboat.explainer": EXPLAINER, "lifeboat.ui": HOME_PAGE}


def server_of(usecase: str) -> str:
    """The model server of a use case, as a service."""
    return f"use case {usecase}"


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen on the port now; one whose last connections are still closing is free.

    Raises:
        SettingsError: the address cannot be listened on for a reason that no other port above 1023 would mend.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise SettingsError(f"{host}:{port} cannot be listened on: {error.strerror}; choose another") from error
    return True


def is_loopback(host: str) -> bool:
    """Whether it is an address that only this machine reaches."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in _LOOPBACK


def base_url(host: str, port: int) -> str:
    """How this machine reaches a server that listens on the address, such as http://127.0.0.1:9000."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # told apart, not listened on
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@dataclass(frozen=True)
class Holder:
    """A process that listens on a port.

    Args:
        pid: its id.
        command: its command line.
        folder: its working directory.
    """

    pid: int
    command: tuple[str, ...]
    folder: Path

    @property
    def service(self) -> tuple[str, Path] | None:
        """What it is where it is one of ours, such as "use case titanic", and its home; None for another program."""
        if "lifeboat.supervisor" in self.command and "--state" in self.command[:-1]:
            state = Path(self.command[self.command.index("--state") + 1])
            return server_of(state.name), state.parent.parent
        found = next((name for module, name in _MODULES.items() if module in self.command), None)
        return (found, self.folder.parent) if found else None

    def describe(self, home: Path) -> str:
        """Who it is, seen from a home: "use case titanic of this home (process 71)"."""
        if self.service is None:
            return f"process {self.pid} ({terminal_text(' '.join(self.command), 80)})"
        name, theirs = self.service
        return terminal_text(f"{name} of {'this home' if theirs == home else theirs} (process {self.pid})")


def find_holder(port: int) -> Holder | None:
    """Who listens on a port of this machine; None where nobody does or the system does not tell.

    A supervisor and its model server share the port: the supervisor is named.
    """
    sockets = {f"socket:[{number}]" for number in _listening_sockets(port)}
    holders = [holder for pid in _processes() if sockets and (holder := _holder(pid, sockets))]
    return min(holders, key=lambda holder: (holder.service is None, holder.pid), default=None)


def _listening_sockets(port: int) -> Iterator[str]:
    """The inode numbers of the sockets that listen on the port."""
    for name in ("tcp", "tcp6"):
        try:
            lines = (_PROC / "net" / name).read_text().splitlines()[1:]
        except OSError:  # not Linux, or no IPv6
            continue
        for words in map(str.split, lines):
            if words[3] == _LISTENING and int(words[1].rpartition(":")[2], 16) == port:
                yield words[9]


def _processes() -> list[int]:
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]


def _holder(pid: int, sockets: set[str]) -> Holder | None:
    """The process if it holds one of the sockets; None also where it has ended or is another user's."""
    folder = _PROC / str(pid)
    try:
        if not any(str(link.readlink()) in sockets for link in _descriptors(folder)):
            return None
        return _process(pid)
    except OSError:
        return None


def _process(pid: int) -> Holder:
    folder = _PROC / str(pid)
    text = (folder / "cmdline").read_bytes().decode(errors="replace")
    words = tuple(word for word in text.split("\0") if word)
    if "lifeboat.server.supervised" in words:  # the port of gRPC is its own, but it is its parent that is known
        return _process(int((folder / "stat").read_text().rpartition(")")[2].split()[1]))
    return Holder(pid, words, (folder / "cwd").readlink())


def _descriptors(folder: Path) -> Iterator[Path]:
    """Those that are still open when they are looked at."""
    for link in (folder / "fd").iterdir():
        if link.is_symlink():
            yield link
