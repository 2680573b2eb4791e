"""A PostgreSQL server of its own, for one test: in a new folder, on a socket in it, and gone after.

It is run by the account `postgres` where the test is root, as the server refuses to be root.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql

from tests.omop_databases import DDL, Tables

_DEBIAN = Path("/usr/lib/postgresql")
_USER = "consortium"
_NOT_THERE = "PostgreSQL is not on this machine: apt-get install postgresql"


@dataclass(frozen=True)
class Server:
    """A running server, by the folder of its socket."""

    folder: Path

    def url(self, database: str = "postgres", driver: str = "postgresql+psycopg") -> str:
        """Return the URL of a database, as SQLAlchemy writes it."""
        return f"{driver}://{_USER}@/{database}?host={quote(str(self.folder))}"

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Run statements, each in a transaction of its own."""
        with psycopg.connect(self._address(database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def write(
        self,
        name: str,
        tables: Tables,
        *,
        ddl: Mapping[str, str] = DDL,
        schema: str = "public",
    ) -> str:
        """Make a database with tables, of which those not named are empty, and return its URL."""
        self.execute(f'CREATE DATABASE "{name}"')
        self.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}", database=name)
        with psycopg.connect(self._address(name)) as connection:
            for table, columns in ddl.items():
                connection.execute(f"CREATE TABLE {schema}.{table} ({columns})".encode())
                rows = tables.get(table, ())
                if not rows:
                    continue
                names = [*rows[0]]
                into = sql.SQL("COPY {} ({}) FROM STDIN").format(
                    sql.Identifier(schema, table), sql.SQL(", ").join(map(sql.Identifier, names))
                )
                with connection.cursor().copy(into) as copy:
                    for row in rows:
                        copy.write_row([row[one] for one in names])
        return self.url(name)

    def _address(self, database: str) -> str:
        return self.url(database, driver="postgresql")


@contextmanager
def running_server() -> Iterator[Server]:
    """Start a server, or skip the test with a sentence where there is none."""
    programs = _programs()
    as_root = os.geteuid() == 0
    owner = pwd.getpwnam("postgres") if as_root else pwd.getpwuid(os.geteuid())
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # not below pytest's, which is root's alone
    try:
        if as_root:
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        data = str(folder / "data")

        def run(program: str, *arguments: str) -> None:
            subprocess.run(
                [programs / program, *arguments],
                check=True,
                cwd=folder,
                stdout=subprocess.DEVNULL,  # the server keeps it open
                stderr=subprocess.DEVNULL,
                timeout=120,
                user=owner.pw_uid if as_root else None,
                group=owner.pw_gid if as_root else None,
            )

        run("initdb", "-D", data, "-U", _USER, "--auth=trust", "-E", "UTF8", "--no-sync")
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        run("pg_ctl", "-D", data, "-w", "-o", options, "-l", str(folder / "log"), "start")
        try:
            yield Server(folder)
        finally:
            run("pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def _programs() -> Path:
    """Return the folder of the server's programs, which Debian does not put on the path."""
    found = shutil.which("initdb")
    versions = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda one: int(one.parts[-3]))
    if found is None and not versions:
        pytest.skip(_NOT_THERE)
    return Path(found).resolve().parent if found else versions[-1].parent
