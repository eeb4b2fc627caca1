"""database-grants.sql in a PostgreSQL of its own, with Cloud SQL's roles rebuilt: cloudsqlsuperuser is no superuser."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.infra.terraform.conftest import SOURCE, tool

Query = Callable[..., subprocess.CompletedProcess[str]]

CLOUD_SQL = """
CREATE ROLE cloudsqlsuperuser CREATEDB CREATEROLE;
CREATE ROLE "admin@project.iam" LOGIN;
CREATE ROLE "other@project.iam" LOGIN;
CREATE ROLE "mlflow@project.iam" LOGIN;
GRANT cloudsqlsuperuser TO "admin@project.iam";
CREATE DATABASE mlflow OWNER cloudsqlsuperuser;
"""


@pytest.fixture(scope="module")
def query() -> Iterator[Query]:
    """Runs psql as a user on a database, over a socket; the grants have been made twice."""
    psql, server = tool("psql"), Path(tool("postgres")).resolve().parent
    if not (server / "initdb").exists():
        pytest.skip("initdb is not installed")
    directory = Path(tempfile.mkdtemp(prefix="grants-"))
    # PostgreSQL refuses to run as root.
    owner: dict[str, str] = {"user": "nobody"} if os.geteuid() == 0 else {}
    if owner:
        shutil.chown(directory, "nobody")

    def serve(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, timeout=60, cwd=directory, **owner)  # type: ignore[call-overload]

    def run(user: str, database: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [psql, "--no-psqlrc", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", f"--host={directory}",
             f"--username={user}", f"--dbname={database}", *arguments],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    try:
        serve(f"{server}/initdb", "-D", f"{directory}/data", "-A", "trust", "-U", "cloudsqladmin", "--no-sync")
        serve(
            f"{server}/pg_ctl", "-D", f"{directory}/data", "-l", f"{directory}/log", "-w",
            "-o", f"-k {directory} -c listen_addresses=", "start",
        )  # fmt: skip
        for statement in filter(None, CLOUD_SQL.strip().splitlines()):
            assert run("cloudsqladmin", "postgres", "--command", statement).returncode == 0
        for _ in range(2):
            done = run(
                "admin@project.iam", "postgres", "--set=mlflow=mlflow@project.iam",
                f"--file={SOURCE / 'platform/database-grants.sql'}",
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
        yield run
    finally:
        if (directory / "data/postmaster.pid").exists():
            serve(f"{server}/pg_ctl", "-D", f"{directory}/data", "-m", "immediate", "stop")
        shutil.rmtree(directory)


def test_mlflow_makes_its_tables_in_its_own_database(query: Query) -> None:
    done = query("mlflow@project.iam", "mlflow", "--command", "CREATE TABLE made (one int)")
    assert done.returncode == 0, done.stderr


def test_nobody_else_connects_to_it(query: Query) -> None:
    done = query("other@project.iam", "mlflow", "--command", "SELECT 1")
    assert "User does not have CONNECT privilege" in done.stderr


def test_mlflow_makes_no_databases(query: Query) -> None:
    done = query("mlflow@project.iam", "postgres", "--command", "CREATE DATABASE another")
    assert "permission denied" in done.stderr
