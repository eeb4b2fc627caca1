"""A PostgreSQL of our own for the block: of any superuser, or as kustomize/base/postgres has it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.ports import free_port
from tests.stores.weed import ROOT

# The driver that the image has (the extra `tracking`); it must be named.
SCHEME = "postgresql+psycopg2"
PASSWORD = "made-on-the-spot"
# Debian keeps its server's programs away from PATH.
_PLACES = sorted(str(place) for place in Path("/usr/lib/postgresql").glob("*/bin"))


@dataclass(frozen=True)
class Server:
    """Where a server listens: to its superuser's PASSWORD on a port, to anybody on a socket in its folder."""

    folder: str
    port: int


def missing() -> list[str]:
    """The programs that are needed and not here."""
    return [f"{name} (Debian: postgresql)" for name in ("initdb", "pg_ctl", "psql") if _program(name) is None]


def names() -> dict[str, str]:
    """The variables of the manifest that say who the database is for."""
    documents = yaml.safe_load((ROOT / "kustomize/base/postgres/stateful-set.yaml").read_text())
    [container] = documents["spec"]["template"]["spec"]["containers"]
    return {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}


@contextmanager
def server(superuser: str) -> Iterator[Server]:
    """An empty one."""
    # Not pytest's folder, which is its user's only: PostgreSQL refuses to run as root.
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        made = Server(folder, free_port())
        (Path(folder) / "password").write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (folder, f"{folder}/password"):
                shutil.chown(path, "nobody")
        ways = ("--auth-host=scram-sha-256", "--auth-local=trust", f"--pwfile={folder}/password")
        _run("initdb", f"-D{folder}/data", f"-U{superuser}", *ways, "--no-sync")
        options = f"-p {made.port} -c listen_addresses=127.0.0.1 -c fsync=off -k {shlex.quote(folder)}"
        _run("pg_ctl", "-D", f"{folder}/data", "-l", f"{folder}/log", "-w", "-o", options, "start")
        try:
            yield made
        finally:
            _run("pg_ctl", "-D", f"{folder}/data", "-m", "immediate", "stop")


@contextmanager
def running() -> Iterator[str]:
    """The address of an empty database, in the form of the Secret `mlflow-database`."""
    user, database = names()["POSTGRES_USER"], names()["POSTGRES_DB"]
    with server(user) as made:
        place = f"{user}:{PASSWORD}@127.0.0.1:{made.port}"
        query(f"{SCHEME}://{place}/postgres", f"CREATE DATABASE {database}")
        yield f"{SCHEME}://{place}/{database}"


def query(address: str, statement: str) -> str:
    """What psql prints of a statement."""
    done = psql(address.replace(SCHEME, "postgresql"), "--command", statement)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def psql(address: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs psql on a database, with libpq's URL or words for it; it ends at the first statement that fails."""
    words = [f"--dbname={address}", "--no-psqlrc", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", *arguments]
    return subprocess.run([str(_program("psql")), *words], capture_output=True, text=True, timeout=60, check=False)


def _program(name: str) -> str | None:
    return shutil.which(name, path=":".join([*_PLACES, os.environ["PATH"]]))


def _run(name: str, *arguments: str) -> None:
    program = _program(name)
    assert program, name
    owner = {"user": "nobody"} if os.geteuid() == 0 else {}
    # To a file: the server that pg_ctl leaves behind would hold a pipe open.
    with tempfile.TemporaryFile("w+") as output:
        code = subprocess.run(
            [program, *arguments], stdout=output, stderr=output, timeout=120, cwd="/", check=False, **owner
        ).returncode  # type: ignore[call-overload]
        output.seek(0)
        assert code == 0, output.read()
