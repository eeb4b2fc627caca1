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
CREATE ROLE "kfp@project.iam" LOGIN;
CREATE ROLE "mlflow@project.iam" LOGIN;
GRANT cloudsqlsuperuser TO "admin@project.iam";
CREATE DATABASE metadb OWNER cloudsqlsuperuser;
CREATE DATABASE mlflow OWNER cloudsqlsuperuser;
CREATE DATABASE mlpipeline OWNER cloudsqlsuperuser;
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
                "admin@project.iam", "postgres", "--set=kfp=kfp@project.iam", "--set=mlflow=mlflow@project.iam",
                f"--file={SOURCE / 'platform/database-grants.sql'}",
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
        yield run
    finally:
        if (directory / "data/postmaster.pid").exists():
            serve(f"{server}/pg_ctl", "-D", f"{directory}/data", "-m", "immediate", "stop")
        shutil.rmtree(directory)


@pytest.mark.parametrize(("user", "database"), [("kfp", "metadb"), ("kfp", "mlpipeline"), ("mlflow", "mlflow")])
def test_a_workload_makes_its_tables_in_its_own_database(query: Query, user: str, database: str) -> None:
    done = query(f"{user}@project.iam", database, "--command", "CREATE TABLE made (one int)")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("user", "database"), [("mlflow", "metadb"), ("mlflow", "mlpipeline"), ("kfp", "mlflow")])
def test_a_workload_cannot_connect_to_anothers_database(query: Query, user: str, database: str) -> None:
    done = query(f"{user}@project.iam", database, "--command", "SELECT 1")
    assert "User does not have CONNECT privilege" in done.stderr


def test_kubeflow_is_told_that_its_database_exists_which_is_all_it_wants(query: Query) -> None:
    done = query("kfp@project.iam", "postgres", "--command", "CREATE DATABASE mlpipeline")
    assert 'database "mlpipeline" already exists' in done.stderr


def test_mlflow_makes_no_databases(query: Query) -> None:
    done = query("mlflow@project.iam", "postgres", "--command", "CREATE DATABASE another")
    assert "permission denied" in done.stderr
