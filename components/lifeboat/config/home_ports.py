"""The ports of a home: of each service its own, the default where it is free, else the next one, kept in the home.

Several homes share a machine, and several use cases a home. Within a home the file of ports, written under a lock, sees
to it that no two services get the same port. Between homes, and against other programs, binding decides: a port is only
reserved here, and whoever finds it taken when it binds asks again.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable

from lifeboat.config.errors import PortError, StorageError
from lifeboat.config.settings import Settings, variable
from lifeboat.system.addresses import (
    DETECTOR,
    EXPLAINER,
    HOME_PAGE,
    Holder,
    base_url,
    find_holder,
    is_free,
    server_of,
)
from lifeboat.system.files import holding_lock, write_text

PORTS_FILE, LOCK_FILE = "ports.json", "ports.lock"
DEFAULTS = {
    "port": 9000, "metrics_port": 6000, "grpc_port": 9500, "detector_port": 9010, "explainer_port": 9030,
    "ui_port": 9050,
}  # fmt: skip
_OWN = {DETECTOR: "detector_port", EXPLAINER: "explainer_port", HOME_PAGE: "ui_port"}
# Besides the defaults of each other: the retrain trigger's, which has settings of its own.
_OTHERS = frozenset({9020})
_SEARCHED = 1000

Ports = dict[str, int]
Say = Callable[[str], None]


class HomePorts:
    """Whose port is which in one home.

    Args:
        settings: home, host, and the ports that the user chose, which win.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings, self._home = settings, settings.home_path

    def kept(self, service: str) -> Ports:
        """The ports that the home keeps for a service by the names of their settings; empty before its first time.

        Args:
            service: `DETECTOR`, `EXPLAINER`, `HOME_PAGE` or a `server_of`.

        Raises:
            StorageError: the file cannot be read.
        """
        return self._read().get(service, {})

    def chosen(self, service: str) -> Ports:
        """The ports of the service that the user chose by a flag or a variable."""
        return {name: port for name in _names(service) if (port := getattr(self._settings, name))}

    def reserve(self, service: str, say: Say, seconds: float = 0.0) -> Ports:
        """The ports that the service shall listen on, kept from now on; those it listens on already if it does.

        Args:
            service: `DETECTOR`, `EXPLAINER`, `HOME_PAGE` or a `server_of`.
            say: told of each port that it does not get, and why.
            seconds: to wait for the ports it had, where it was killed just now.

        Raises:
            PortError: the port that the user chose is somebody's, or no port is free.
            SettingsError: the host is no address of this machine.
            StorageError: the file cannot be read or written.
        """
        with holding_lock(self._home / LOCK_FILE):
            every = self._read()
            wanted = every.pop(service, {})
            self._await(service, wanted, seconds)
            found = self._choose(service, wanted, every, say)
            # What the user chose may have been kept for a service that does not run now.
            rest = {other: _without(ports, set(found.values())) for other, ports in every.items()}
            write_text(self._home / PORTS_FILE, json.dumps({**rest, service: found}, indent=1) + "\n")
        return found

    def problems(self, service: str) -> list[str]:
        """Why the service could not be given its ports now: a sentence for each; nothing is kept.

        Raises:
            SettingsError: the host is no address of this machine.
            StorageError: the file cannot be read.
        """
        every = self._read()
        wanted, chosen = every.pop(service, {}), self.chosen(service)
        reasons = [self._refusal(service, name, port) for name, port in chosen.items()]
        for name in _names(service):
            if name not in chosen:
                try:
                    self._search(service, name, wanted, {**every, service: chosen})
                except PortError as error:
                    reasons.append(str(error))
        return list(filter(None, reasons))

    def strangers(self) -> list[str]:
        """A sentence for each port that the user chose and that belongs to nothing of this home.

        Raises:
            SettingsError: the host is no address of this machine.
        """
        ports = {name: getattr(self._settings, name) for name in DEFAULTS}
        taken = [(name, port) for name, port in ports.items() if port and not is_free(self._host_of(name), port)]
        return [self._refused(name, port) for name, port in taken if not self._is_ours(find_holder(port))]

    def mismatches(self, service: str, found: Ports) -> list[str]:
        """A sentence for each port that the user chose for a service that listens on others.

        Args:
            service: `DETECTOR`, `EXPLAINER`, `HOME_PAGE` or a `server_of`; it runs.
            found: the ports it listens on.
        """
        way = "leave that out, or end what serves first: lifeboat stop"
        return [
            f"{_flag(name)} is {port}, but {service} of this home has {found[name]} already; {way}"
            for name, port in self.chosen(service).items()
            if found.get(name, port) != port
        ]

    def explain(self, service: str) -> list[str]:
        """A sentence for each kept port that is not the default one, with who has that."""
        every = self._read()
        kept = every.pop(service, {})
        return [
            f"{service} has {_words(name)} {port}, since {DEFAULTS[name]} is {self._owner(DEFAULTS[name], every)}"
            for name, port in kept.items()
            if port != DEFAULTS[name]
            and name not in self.chosen(service)
            and not self._is_available(service, DEFAULTS[name])
        ]

    def server_url(self, usecase: str) -> str:
        """Where a use case's model server is going to be.

        Raises:
            StorageError: the file cannot be read.
        """
        service = server_of(usecase)
        ports = {**DEFAULTS, **self.kept(service), **self.chosen(service)}
        return base_url(self._settings.host, ports["port"])

    def url(self, service: str) -> str:
        """Where a service that there is one of in the home is, or is going to be.

        Raises:
            StorageError: the file cannot be read.
        """
        ports = self.kept(service) or self.chosen(service) or DEFAULTS
        return base_url(self.host(service), ports[port_name(service)])

    def host(self, service: str) -> str:
        """The address that a service listens on."""
        return self._settings.ui_host if service == HOME_PAGE else self._settings.host

    @property
    def detector_url(self) -> str:
        """Where the home's drift detector is, or is going to be; raises as `url`."""
        return self.url(DETECTOR)

    @property
    def explainer_url(self) -> str:
        """Where the home's model servers ask for the reasons of answers; empty where nobody explains.

        Raises:
            StorageError: the file cannot be read.
        """
        return f"{self.url(EXPLAINER)}/explain" if self._settings.explainer else ""

    @property
    def home_page_url(self) -> str:
        """Where the page is that leads to all others, with its slash; empty where the home has none.

        Raises:
            StorageError: the file cannot be read.
        """
        return f"{self.url(HOME_PAGE)}/" if self._settings.ui else ""

    @property
    def events_url(self) -> str:
        """Where the home's model servers send their events; empty where there is no detector.

        Raises:
            StorageError: the file cannot be read.
        """
        return f"{self.detector_url}{self.events_path}" if self._settings.drift_python else ""

    @property
    def events_path(self) -> str:
        """The path that only this home's detector knows: a port that it left may be that of another home's by now."""
        return f"/events/{hashlib.sha256(str(self._home).encode()).hexdigest()[:16]}"

    def _choose(self, service: str, wanted: Ports, others: dict[str, Ports], say: Say) -> Ports:
        found = self.chosen(service)
        for name, port in found.items():
            if reason := self._refusal(service, name, port):
                raise PortError(reason)
        for name in _names(service):
            if name not in found:
                found[name] = self._search(service, name, wanted, {**others, service: found})
                first = wanted.get(name, DEFAULTS[name])
                if found[name] != first:
                    say(f"{_words(name)} {first} is {self._owner(first, others)}: {service} has {found[name]}")
        return found

    def _refusal(self, service: str, name: str, port: int) -> str:
        if self._is_available(service, port):
            return ""
        return self._refused(name, port)

    def _refused(self, name: str, port: int) -> str:
        taken = self._owner(port, {})
        return f"{_flag(name)} is {port}, which is {taken}; choose another, or none to get the next free one"

    def _search(self, service: str, name: str, wanted: Ports, given: dict[str, Ports]) -> int:
        """The port that was kept, the default or the next one: the first that nobody has."""
        default = DEFAULTS[name]
        avoided = {port for ports in given.values() for port in ports.values()}
        usual = {*DEFAULTS.values(), *_OTHERS} - {default}
        upwards = [port for port in range(default, default + _SEARCHED) if port not in usual]
        for port in [wanted.get(name, default), *upwards]:
            if port not in avoided and self._is_available(service, port):
                return port
        last = default + _SEARCHED - 1
        raise PortError(f"no port from {default} to {last} is free for {service}; choose one by {variable(name)}")

    def _is_available(self, service: str, port: int) -> bool:
        """Whether the service could listen on the port, or does."""
        if is_free(self.host(service), port):
            return True
        holder = find_holder(port)
        return holder is not None and holder.service == (service, self._home)

    def _host_of(self, name: str) -> str:
        """The address that the port of a setting's name is of."""
        return self.host(next((service for service, own in _OWN.items() if own == name), ""))

    def _is_ours(self, holder: Holder | None) -> bool:
        """Whether it is a service of this home, or may be one: not every system tells."""
        return holder is None or (holder.service is not None and holder.service[1] == self._home)

    def _await(self, service: str, ports: Ports, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not all(self._is_available(service, port) for port in ports.values()):
            time.sleep(0.1)

    def _owner(self, port: int, others: dict[str, Ports]) -> str:
        holder = find_holder(port)
        if holder is not None:
            return f"taken by {holder.describe(self._home)}"
        keeper = next((name for name, ports in others.items() if port in ports.values()), "")
        return f"kept for {keeper} of this home" if keeper else "taken by another program"

    def _read(self) -> dict[str, Ports]:
        path = self._home / PORTS_FILE
        try:
            every = json.loads(path.read_bytes())
            return {service: {name: int(port) for name, port in ports.items()} for service, ports in every.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise StorageError(f"{path} cannot be read: {error}; remove it, and ports are chosen anew") from error


def _flag(name: str) -> str:
    """How a user chooses a port, such as "--port (or LIFEBOAT_PORT)"."""
    return f"--{name.replace('_', '-')} (or {variable(name)})"


def port_name(service: str) -> str:
    """The setting of the port of a service that there is one of in a home."""
    return _OWN[service]


def _names(service: str) -> tuple[str, ...]:
    return (_OWN[service],) if service in _OWN else ("port", "metrics_port", "grpc_port")


def _words(name: str) -> str:
    return {"metrics_port": "metrics port", "grpc_port": "gRPC port"}.get(name, "port")


def _without(ports: Ports, given: set[int]) -> Ports:
    return {name: port for name, port in ports.items() if port not in given}
