"""The way to MLflow: a client, whose turn it is on a SQLite database, and what went wrong in one sentence.

MLflow is imported on first use: that takes seconds, which nobody pays who does not ask it.
"""

from __future__ import annotations

import fcntl
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lifeboat.config.errors import RegistryError, first_line

SQLITE = "sqlite:///"


@dataclass
class Connection:
    """A tracking server or a SQLite database.

    Args:
        uri: of it.
        shown: the same without a password.
    """

    uri: str
    shown: str

    @property
    def is_local(self) -> bool:
        """Whether it is a SQLite database."""
        return self.uri.startswith(SQLITE)

    @property
    def is_new(self) -> bool:
        """Whether it is a database that nobody has made yet, which takes MLflow seconds."""
        return self.is_local and not Path(self.uri.removeprefix(SQLITE)).exists()

    @cached_property
    def client(self) -> Any:
        """MLflow's client. Use it within `errors`."""
        self.check_folder()
        import mlflow

        mlflow.set_tracking_uri(self.uri)
        # Opening a new database makes its tables: of two processes at once, each would find half of them.
        with self.turn("setup"):
            client = mlflow.MlflowClient(self.uri)
            if self.is_local:
                client.search_experiments(max_results=1)
        return client

    def check_folder(self) -> None:
        """Looks where MLflow is installed; quick, for before long work.

        Raises:
            RegistryError: it could not make the tables of a SQLite database from there. It gives the path to Alembic
                as it is, which takes % for a variable.
        """
        packages = sysconfig.get_path("purelib")
        if self.is_local and "%" in packages:
            raise RegistryError(f"MLflow cannot work from {packages}: a folder's name has a %; move or rename it")

    @contextmanager
    def turn(self, ending: str) -> Iterator[None]:
        """Holds a lock file beside a SQLite database; the system lets it go with the process, however that ends.

        Args:
            ending: of the file's name, which tells apart what the lock is for.
        """
        if not self.is_local:
            yield
            return
        database = Path(self.uri.removeprefix(SQLITE))
        with self.errors():
            database.parent.mkdir(parents=True, exist_ok=True)
            file = Path(f"{database}.{ending}").open("a")  # noqa: SIM115  # closed below
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Whatever MLflow raises becomes a RegistryError."""
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (MlflowException, SQLAlchemyError, OSError) as error:
            raise RegistryError(f"the model registry {self.shown} cannot be used: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    text = str(error)
    if "database is locked" in text:
        return "another process holds its database locked"
    if "failed with exception" in text:
        # 'API request to URL failed with exception HTTPConnectionPool(…): … (Caused by …("…: Connection refused"))'
        return f"it does not answer: {text.splitlines()[0].rpartition(': ')[2].strip(' )')}".replace('"', "")
    return first_line(error)
