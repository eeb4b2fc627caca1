"""MLflow's server, started with the words and the variables of its manifest, from the environment of its image."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.apiserver import process
from tests.ports import free_port
from tests.server.world import call
from tests.stores.endpoint import Endpoint
from tests.stores.weed import ROOT

PROGRAM = ROOT / ".venvs" / "tracking" / "bin" / "mlflow"
MISSING = f"not made: {PROGRAM.relative_to(ROOT).parents[1]} (extra tracking)"
# Many times what an idle machine takes: its import alone is ten seconds of one core.
READY = 300.0
# The first process of each running server.
_STARTED = set[int]()


def replicas() -> int:
    """How many servers share the database."""
    return int(yaml.safe_load((ROOT / "kustomize/base/mlflow/deployment.yaml").read_text())["spec"]["replicas"])


def container() -> dict[str, Any]:
    """The container of the manifest, with what in-cluster-stores adds to it."""
    places = ("base/mlflow/deployment.yaml", "components/in-cluster-stores/mlflow.yaml")
    found = [yaml.safe_load((ROOT / "kustomize" / place).read_text()) for place in places]
    base, added = (document["spec"]["template"]["spec"]["containers"][0] for document in found)
    return {**base, "env": base["env"] + added["env"]}


def variables(database: str, endpoint: Endpoint, bucket: str) -> dict[str, str]:
    """The manifest's variables, with what its ConfigMap and its Secrets would hold."""
    values = {
        "artifacts": f"s3://{bucket}", "s3-endpoint": endpoint.url, "access-key": endpoint.access_key,
        "secret-key": endpoint.secret_key, "uri": database,
    }  # fmt: skip
    found = {}
    for entry in container()["env"]:
        source = entry.get("valueFrom", {})
        reference = source.get("configMapKeyRef") or source.get("secretKeyRef")
        found[entry["name"]] = values[reference["key"]] if reference else entry["value"]
    return found


def processes(url: str) -> dict[str, int]:
    """Command line and bytes of a running server and of all that it started; what they share counted once."""
    port = f"--port={url.rpartition(':')[2]}".encode()
    [leader] = [found for found in _STARTED if port in _read(found, "cmdline")]
    everybody = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    group = [pid for pid in everybody if _session(pid) == leader]
    return {f"{pid} {_read(pid, 'cmdline').replace(bytes(1), b' ').decode()}": _memory(pid) for pid in group}


@contextmanager
def running(folder: Path, variables: dict[str, str]) -> Iterator[str]:
    """A server on a free port; its URL, as soon as its manifest's startup probe answers."""
    folder.mkdir(parents=True)
    asked, port = container(), free_port()
    words = [word.replace("$(ARTIFACTS)", variables["ARTIFACTS"]) for word in asked["args"]]
    words += ["--host=127.0.0.1", f"--port={port}"]  # of two the last one counts
    # PATH: it starts its workers by name. HOME: the only folder that the image may write to.
    clean = {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", "HOME": str(folder), "TMPDIR": str(folder), **variables}
    command = ["env", "-i", *(f"{name}={text}" for name, text in clean.items()), str(PROGRAM), *words]
    probe = asked["startupProbe"]["httpGet"]
    headers = {header["name"]: header["value"] for header in probe["httpHeaders"]}
    url = f"http://127.0.0.1:{port}"
    with _whole(command, folder / "log") as first:
        if _answers(first, url + probe["path"], headers, folder / "log"):
            yield url
            return
    # Of two that make an empty database's tables at once, one ends; its kubelet starts it again.
    assert "already exists" in (folder / "log").read_text(), (folder / "log").read_text()[-3000:]
    with _whole(command, folder / "log-2") as second:
        assert _answers(second, url + probe["path"], headers, folder / "log-2"), (folder / "log-2").read_text()[-3000:]
        yield url


def _memory(pid: int) -> int:
    lines = [line.split() for line in _read(pid, "smaps_rollup").splitlines()]
    return 1024 * sum(int(words[1]) for words in lines if words[0] == b"Pss:")


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
        return b""


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:  # it ended meanwhile
        return 0


@contextmanager
def _whole(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program in a session of its own, which ends with all that it started."""
    with process(["setsid", *command], log) as child:
        _STARTED.add(child.pid)
        try:
            yield child
        finally:
            _STARTED.discard(child.pid)
            with suppress(ProcessLookupError):  # it ended by itself
                os.killpg(child.pid, signal.SIGKILL)


def _answers(child: subprocess.Popen[bytes], url: str, headers: dict[str, str], log: Path) -> bool:
    """Whether a probe is answered with success before the program ends by itself."""
    deadline = time.monotonic() + READY
    while child.poll() is None:
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        try:
            if call(url, **headers).status == 200:
                return True
        except OSError:  # not yet
            time.sleep(0.5)
    return False
