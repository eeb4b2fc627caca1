"""database-grants.sql in a PostgreSQL of its own, with Cloud SQL's roles rebuilt: cloudsqlsuperuser is no superuser."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.infra.terraform.conftest import SOURCE
from tests.stores import postgres

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
    if lacking := postgres.missing():
        pytest.skip(f"not installed: {', '.join(lacking)}")
    with postgres.server("cloudsqladmin") as server:

        def run(user: str, database: str, *arguments: str) -> subprocess.CompletedProcess[str]:
            place = f"host='{server.folder}' port={server.port} user={user} dbname={database}"
            return postgres.psql(place, *arguments)

        for statement in filter(None, CLOUD_SQL.strip().splitlines()):
            assert run("cloudsqladmin", "postgres", "--command", statement).returncode == 0
        grants = ("--set=mlflow=mlflow@project.iam", f"--file={SOURCE / 'platform/database-grants.sql'}")
        for _ in range(2):
            done = run("admin@project.iam", "postgres", *grants)
            assert done.returncode == 0, done.stderr
        yield run


def test_mlflow_makes_its_tables_in_its_own_database(query: Query) -> None:
    done = query("mlflow@project.iam", "mlflow", "--command", "CREATE TABLE made (one int)")
    assert done.returncode == 0, done.stderr


def test_nobody_else_connects_to_it(query: Query) -> None:
    done = query("other@project.iam", "mlflow", "--command", "SELECT 1")
    assert "User does not have CONNECT privilege" in done.stderr


def test_mlflow_makes_no_databases(query: Query) -> None:
    done = query("mlflow@project.iam", "postgres", "--command", "CREATE DATABASE another")
    assert "permission denied" in done.stderr
