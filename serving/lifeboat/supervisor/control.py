"""The client of the supervisor: how a deployment on a laptop starts, tries and promotes a model server.

    ports = {"port": 9000, "metrics_port": 6000, "grpc_port": 9500}
    with ensure_supervisor(state, "127.0.0.1", ports, sys.executable) as control:
        candidate = control.start(bundle, "titanic", "3")   # ready on a private port
        ...                                                  # try candidate.url
        control.promote()                                    # it takes the public port, the old one drains

One connection is one deployment: when it closes before `promote`, its candidate ends. This module needs
nothing but the standard library, so that the pipeline's environment can import it.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from lifeboat.config.errors import DeployError, PortError
from lifeboat.supervisor.launch import launch
from lifeboat.supervisor.state import find_socket

LOG_FILE = "server.log"
# `start` takes as long as a model takes to load, `promote` as long as the old server takes to drain.
ANSWER_SECONDS = 120.0


@dataclass(frozen=True)
class Serving:
    """A model server as the supervisor knows it.

    Args:
        name, version: of the model.
        digest: of its bundle.
        bundle: its directory.
        pid: of its process; None while it is started again, and from a supervisor of an earlier edition.
        restarts: how often it died and was started again.
    """

    name: str
    version: str
    digest: str
    bundle: Path
    pid: int | None
    restarts: int

    @classmethod
    def from_document(cls, document: dict[str, Any] | None) -> Serving | None:
        """Reads what the supervisor answers; None for none."""
        if document is None:
            return None
        same = {name: document[name] for name in ("name", "version", "digest", "restarts")}
        return cls(**same, bundle=Path(document["bundle"]), pid=document.get("pid"))


@dataclass(frozen=True)
class Status:
    """What the supervisor runs.

    Args:
        pid: of the supervisor.
        url: public URL of the model server.
        metrics_url: of its metrics.
        grpc_address: of the same server over gRPC, such as 127.0.0.1:9500; empty for none.
        events_url: where it sends its events; empty for nowhere, None from a supervisor that cannot send them elsewhere
            since it was started by an earlier edition.
        explainer_url: where it asks for the reasons of answers; as `events_url`.
        serving: the promoted server, None before the first promotion.
        candidate: the server on trial, None without a deployment.
    """

    pid: int
    url: str
    metrics_url: str
    grpc_address: str
    events_url: str | None
    explainer_url: str | None
    serving: Serving | None
    candidate: Serving | None

    @property
    def ports(self) -> dict[str, int]:
        """Those of its addresses, by the names of their settings."""
        urls = {"port": self.url, "metrics_port": self.metrics_url, "grpc_port": self.grpc_address}
        return {name: int(url.split(":")[-1].partition("/")[0]) for name, url in urls.items() if url}


@dataclass(frozen=True)
class Candidate:
    """A server that is ready on a private port.

    Args:
        url: such as http://127.0.0.1:41233; it speaks every protocol of the public one.
        digest: of the bundle it serves.
    """

    url: str
    digest: str


class Control:
    """A connection to a living supervisor; a context manager, which closes it.

    Every method raises DeployError with one sentence when the supervisor refuses or cannot do it.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._file = connection.makefile("rb")

    def status(self, seconds: float = 10.0) -> Status:
        """What runs now.

        Args:
            seconds: to answer in.
        """
        document = self._ask({"op": "status"}, seconds)
        serving, candidate = map(Serving.from_document, (document["serving"], document["candidate"]))
        # A supervisor of an earlier edition has no gRPC and no explainer, and one of the first tells of no events.
        urls = document["url"], document["metrics_url"], document.get("grpc_address", "")
        told = document.get("events_url"), document.get("explainer_url")
        return Status(document["pid"], *urls, *told, serving, candidate)

    def start(self, bundle_dir: str | os.PathLike[str], name: str, version: str) -> Candidate:
        """Starts a server on a private port and waits until it is ready.

        Raises:
            DeployError: another deployment is in progress, or the server ended; then with its last words.
        """
        bundle = str(Path(bundle_dir).resolve())
        question = {"op": "start", "bundle": bundle, "name": name, "version": version}
        document = self._ask(question, ANSWER_SECONDS)
        return Candidate(document["url"], document["digest"])

    def promote(self) -> None:
        """Lets this connection's candidate take the public port; returns when the old server has drained.

        Raises:
            PortError: for a first one, somebody else listens on its port by now.
            DeployError: nothing to promote, or the candidate cannot accept; the old server keeps serving.
        """
        self._ask({"op": "promote"}, ANSWER_SECONDS)

    def send_events(self, url: str) -> None:
        """Lets what serves, and what will, send its events to another URL; those that wait go there too.

        Raises:
            DeployError: it is no http or https URL.
        """
        self._ask({"op": "events", "url": url}, 10.0)

    def explain_at(self, url: str) -> None:
        """Lets what serves, and what will, ask at another URL for the reasons of answers.

        Raises:
            DeployError: it is no http or https URL.
        """
        self._ask({"op": "explainer", "url": url}, 10.0)

    def stop(self) -> None:
        """Drains the server and ends the supervisor."""
        self._ask({"op": "stop"}, ANSWER_SECONDS)
        self._connection.settimeout(10.0)
        self._file.read()

    def close(self) -> None:
        """Closes the connection; a candidate that was not promoted ends."""
        self._file.close()
        self._connection.close()

    def __enter__(self) -> Control:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, question: dict[str, str], seconds: float) -> dict[str, Any]:
        try:
            self._connection.settimeout(seconds)
            self._connection.sendall(json.dumps(question).encode() + b"\n")
            line = self._file.readline()
        except TimeoutError:
            raise DeployError(f"the supervisor gave no answer to {question['op']} in {seconds:g} s") from None
        except OSError as error:
            raise DeployError(f"the supervisor is gone: {error.strerror}") from error
        if not line:
            raise DeployError("the supervisor is gone: it closed the connection")
        document: dict[str, Any] = json.loads(line)
        if "error" in document:
            raise (PortError if document.get("port_taken") else DeployError)(document["error"])
        return document


def find_supervisor(state_dir: str | os.PathLike[str]) -> Control | None:
    """Connects to the supervisor of a state directory; None when none is alive.

    Raises:
        DeployError: one is, and is another user's, or what it left to be found by is damaged.
    """
    path = find_socket(Path(state_dir))
    if path is None:
        return None
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(10.0)
    try:
        connection.connect(str(path))
    except PermissionError as error:
        connection.close()
        raise DeployError(f"the supervisor of {state_dir} is another user's, who alone can ask it") from error
    except OSError:
        connection.close()
        return None  # its supervisor was killed and left the file behind
    return Control(connection)


def ensure_supervisor(
    state_dir: str | os.PathLike[str],
    host: str,
    ports: Mapping[str, int],
    python: str,
    server_settings: Mapping[str, str] | None = None,
) -> Control:
    """Connects to the supervisor of a state directory, and starts one when none is alive.

    Args:
        state_dir: is made if missing; holds its state and its log.
        host, ports: the public addresses, port, metrics_port and maybe grpc_port; a living supervisor keeps its own.
        python: the interpreter of the environment with the dependency group `serving`.
        server_settings: settings of the model servers by name, such as {"events_url": "http://…"}.

    Raises:
        PortError: a port is in use.
        DeployError: it cannot start for another reason.
    """
    state = Path(state_dir).resolve()
    state.mkdir(parents=True, exist_ok=True)
    control = find_supervisor(state)
    if control is None:
        addresses = [f"--{name.replace('_', '-')}={port}" for name, port in ports.items()]
        chosen = [f"--set={key}={value}" for key, value in (server_settings or {}).items()]
        program = [python, "-m", "lifeboat.supervisor", "--state", str(state), "--host", host]
        failure = launch([*program, *addresses, *chosen], state / LOG_FILE)
        # Two callers may start one at the same time: the loser finds the winner's.
        control = _find_within(state, 5.0 if failure is None else 1.0)
        if control is None:
            raise failure or DeployError(f"the supervisor of {state} cannot be reached")
    return control


def _find_within(state: Path, seconds: float) -> Control | None:
    deadline = time.monotonic() + seconds
    while (control := find_supervisor(state)) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return control
