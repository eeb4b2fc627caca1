"""A PostgreSQL of our own for the block, with the user, the database and the password of kustomize/base/postgres."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.cluster.apiserver import free_port
from tests.stores.weed import ROOT

# The driver that the image has (dependency group tracking); it must be named.
SCHEME = "postgresql+psycopg2"
PASSWORD = "made-on-the-spot"
# Debian keeps its server's programs away from PATH.
_PLACES = sorted(str(place) for place in Path("/usr/lib/postgresql").glob("*/bin"))


def missing() -> list[str]:
    """The programs that are needed and not here."""
    return [name for name in ("initdb", "pg_ctl", "psql") if _program(name) is None]


def names() -> dict[str, str]:
    """The variables of the manifest that say who the database is for."""
    documents = yaml.safe_load((ROOT / "kustomize/base/postgres/stateful-set.yaml").read_text())
    [container] = documents["spec"]["template"]["spec"]["containers"]
    return {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}


@contextmanager
def running() -> Iterator[str]:
    """The address of an empty database, in the form of the Secret `mlflow-database`."""
    user, database, port = names()["POSTGRES_USER"], names()["POSTGRES_DB"], free_port()
    # Not pytest's folder, which is its user's only: PostgreSQL refuses to run as root.
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        (Path(folder) / "password").write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (folder, f"{folder}/password"):
                shutil.chown(path, "nobody")
        _run("initdb", f"-D{folder}/data", f"-U{user}", "-Ascram-sha-256", f"--pwfile={folder}/password", "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c fsync=off -k {folder}"
        _run("pg_ctl", "-D", f"{folder}/data", "-l", f"{folder}/log", "-w", "-o", options, "start")
        try:
            place = f"{user}:{PASSWORD}@127.0.0.1:{port}"
            _run("psql", f"postgresql://{place}/postgres", "--command", f"CREATE DATABASE {database}")
            yield f"{SCHEME}://{place}/{database}"
        finally:
            _run("pg_ctl", "-D", f"{folder}/data", "-m", "immediate", "stop")


def query(address: str, statement: str) -> str:
    """What psql prints of a statement."""
    return _run(
        "psql",
        address.replace(SCHEME, "postgresql"),
        "--no-psqlrc",
        "--tuples-only",
        "--no-align",
        "--command",
        statement,
    ).strip()


def _program(name: str) -> str | None:
    return shutil.which(name, path=":".join([*_PLACES, os.environ["PATH"]]))


def _run(name: str, *arguments: str) -> str:
    program = _program(name)
    assert program, name
    owner = {"user": "nobody"} if os.geteuid() == 0 else {}
    # To a file: the server that pg_ctl leaves behind would hold a pipe open.
    with tempfile.TemporaryFile("w+") as output:
        code = subprocess.run(
            [program, *arguments], stdout=output, stderr=output, timeout=120, cwd="/", check=False, **owner
        ).returncode  # type: ignore[call-overload]
        output.seek(0)
        text = output.read()
    assert code == 0, text
    return text
