"""A labelled table that is the answer of a database."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from lifeboat.config.errors import UseCaseError

# By the scheme of the URI the module of Arrow's database driver (ADBC), and the package that brings it.
DRIVERS = {
    "postgresql": ("adbc_driver_postgresql", "lifeboat[sql]"),
    "sqlite": ("adbc_driver_sqlite", "lifeboat[sql]"),
    "snowflake": ("adbc_driver_snowflake", "adbc-driver-snowflake"),
    "bigquery": ("adbc_driver_bigquery", "adbc-driver-bigquery"),
}
# Between URI and query, where both are one text.
_BETWEEN = " | "
_SETTING = re.compile(r"(?i)(^|[?&; ])(password|passwd|pwd|token|secret)[^=&]*=")


@dataclass(frozen=True)
class Sql:
    """A query of a database, by Arrow's drivers.

    Its text, `URI | QUERY`, is what stands in lineage, logs and `--data`; so no password may be in it. Each database's
    client finds that by itself: PostgreSQL's in PGPASSWORD, PGPASSFILE or ~/.pgpass.

    Args:
        uri: postgresql://user@host/database, sqlite:///absolute/path, snowflake://…, or bigquery://project/dataset.
        query: one SELECT with the schema's columns. The order of its rows does not matter.
    """

    uri: str
    query: str

    def __post_init__(self) -> None:
        if self.scheme not in DRIVERS:
            known = ", ".join(f"{scheme}://" for scheme in DRIVERS)
            raise UseCaseError(f"the database {self.uri.partition('@')[2] or self.uri!r} is none of {known}")
        if not self.query.strip():
            raise UseCaseError(f"the query of {self.scheme} is empty")
        try:
            secret = urlsplit(self.uri).password is not None
        except ValueError as error:
            raise UseCaseError(f"the URI of the {self.scheme} database cannot be read: {error}") from None
        if secret or _SETTING.search(self.uri):
            raise UseCaseError(
                f"the URI of the {self.scheme} database holds a password, which would stand in every lineage: "
                "leave it out, its client takes it from the environment (PGPASSWORD) or a file (~/.pgpass)"
            )

    @property
    def scheme(self) -> str:
        return self.uri.partition("://")[0]

    def __str__(self) -> str:
        return f"{self.uri}{_BETWEEN}{self.query}"

    @classmethod
    def read(cls, text: str) -> Sql | None:
        """What `str` made; None of any other text."""
        uri, found, query = text.partition(_BETWEEN)
        return cls(uri, query) if found and uri.partition("://")[0] in DRIVERS else None
