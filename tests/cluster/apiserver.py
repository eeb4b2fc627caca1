"""A real kube-apiserver on this machine: built from the Go module k8s.io/kubernetes, on Debian's etcd."""

from __future__ import annotations

import os
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.cluster import go
from tests.ports import free_port

VERSION = "1.33.13"
ADMIN, DEPLOYER = "admin-token", "deploy-step-token"
SECONDS = 90.0
_GIT = "k8s.io/component-base/version.git"
_MAJOR, _MINOR, _ = VERSION.split(".")
PROGRAM = go.Program(
    "kube-apiserver", "k8s.io/kubernetes", VERSION, "cmd/kube-apiserver",
    f"-X {_GIT}Version=v{VERSION} -X {_GIT}Major={_MAJOR} -X {_GIT}Minor={_MINOR}",
)  # fmt: skip


@dataclass(frozen=True)
class Server:
    """A running API server: its URL and the file of its certificate."""

    url: str
    certificate: Path


def missing() -> list[str]:
    """The programs that are needed and not here."""
    return go.lacking(["etcd"] if PROGRAM.binary.exists() else ["etcd", "go"])


def _staged() -> str:
    """Of go.mod: the modules that Kubernetes publishes from its own tree, named by folders that its module lacks."""
    lines = PROGRAM.downloaded("GoMod").read_text().splitlines()
    names = [line.split()[0] for line in lines if "=> ./staging/" in line]
    replaced = "".join(f"\t{name} => {name} v0.{VERSION.partition('.')[2]}\n" for name in names)
    return f"\ngo 1.24.0\n\nreplace (\n{replaced})\n"


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """A server with an empty etcd below a folder, ready."""
    program = PROGRAM.binary if PROGRAM.binary.exists() else PROGRAM.build(_staged())
    port, store, peer = free_port(), free_port(), free_port()
    (folder / "tokens.csv").write_text(
        f'{ADMIN},admin,1,"system:masters"\n'
        f"{DEPLOYER},system:serviceaccount:kubeflow:deploy,2,"
        '"system:serviceaccounts,system:serviceaccounts:kubeflow,system:authenticated"\n'
    )
    _write_key(folder / "accounts.key")
    server = Server(f"https://127.0.0.1:{port}", folder / "apiserver.crt")
    etcd = [
        "etcd", f"--data-dir={folder / 'etcd'}", f"--listen-client-urls=http://127.0.0.1:{store}",
        f"--advertise-client-urls=http://127.0.0.1:{store}", f"--listen-peer-urls=http://127.0.0.1:{peer}",
        "--unsafe-no-fsync",
    ]  # fmt: skip
    apiserver = [
        str(program), f"--etcd-servers=http://127.0.0.1:{store}", "--bind-address=127.0.0.1", f"--secure-port={port}",
        f"--cert-dir={folder}", f"--token-auth-file={folder / 'tokens.csv'}", "--authorization-mode=RBAC",
        "--service-account-issuer=https://lifeboat.test", f"--service-account-key-file={folder / 'accounts.key'}",
        f"--service-account-signing-key-file={folder / 'accounts.key'}", "--service-cluster-ip-range=10.0.0.0/24",
        "--disable-admission-plugins=ServiceAccount", "--kubelet-preferred-address-types=InternalIP",
        "--endpoint-reconciler-type=none",
    ]  # fmt: skip
    with ExitStack() as stack:
        stack.enter_context(process(etcd, folder / "etcd.log"))
        one = stack.enter_context(process(apiserver, folder / "apiserver.log"))
        _wait(server, one, folder / "apiserver.log")
        yield server


@contextmanager
def process(
    command: list[str], log: Path, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A program for the block, its output in a file."""
    used = {**os.environ, "PATH": go.path(), **(environment or {})}
    with log.open("wb") as stream:
        child = subprocess.Popen(command, stdout=stream, stderr=stream, env=used)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def _wait(server: Server, child: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and child.poll() is None:
        try:
            context = ssl.create_default_context(cafile=str(server.certificate))
            request = urllib.request.Request(f"{server.url}/readyz", headers={"Authorization": f"Bearer {ADMIN}"})
            with urllib.request.urlopen(request, timeout=5, context=context):
                return
        except OSError:  # not yet
            time.sleep(0.2)
    raise AssertionError(f"kube-apiserver is not ready: {log.read_text()[-3000:]}")


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for a server on 127.0.0.1, and its key."""
    key = _write_key(folder / "server.key")
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate = folder / "server.crt"
    certificate.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return certificate, folder / "server.key"


def _write_key(path: Path) -> rsa.RSAPrivateKey:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return key
