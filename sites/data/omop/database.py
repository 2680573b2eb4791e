"""The rows that SELECT statements return, in chunks, with each value as the database holds it.

No value passes through pandas, which would make identifiers of the type NUMERIC floating numbers
and merge those that are near each other.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from privacy.errors import require_library
from sites.data.tables import MissingFile, QueryFailed, open_database, reason_of_database

if TYPE_CHECKING:
    import sqlalchemy

Row: TypeAlias = Sequence[Any]

DUCKDB = ".duckdb"
_DUCKDB_URL = "duckdb:///"
_CHUNK = 50_000


class Database(Protocol):
    """An open database that is only read."""

    def chunks(self, statement: str) -> Iterator[Sequence[Row]]:
        """Yield the rows of a statement, some at a time.

        Raises:
            QueryFailed: The database refuses the statement.
        """


def duckdb_path(url: str) -> Path | None:
    """Return the file of a DuckDB database; None for the URL of another one."""
    name = url.removeprefix(_DUCKDB_URL)
    return Path(name) if name.endswith(DUCKDB) and "://" not in name else None


@contextmanager
def opened_database(url: str) -> Iterator[Database]:
    """Open a database to read it, and close it.

    Args:
        url: As SQLAlchemy writes it; or, for DuckDB, the path of a file that ends in `.duckdb`.

    Raises:
        MissingLibrary: It is a DuckDB database, and the package is not installed.
        MissingFile: There is no such file.
        QueryFailed: It cannot be opened.
    """
    path = duckdb_path(url)
    with _opened_duckdb(path) if path else _opened_by_sqlalchemy(url) as database:
        yield database


class _OfSqlalchemy:
    def __init__(self, connection: "sqlalchemy.Connection") -> None:
        self._connection = connection

    def chunks(self, statement: str) -> Iterator[Sequence[Row]]:
        import sqlalchemy

        try:
            with self._connection.execution_options(stream_results=True).execute(
                sqlalchemy.text(statement)
            ) as result:
                yield from result.partitions(_CHUNK)
        except sqlalchemy.exc.SQLAlchemyError as error:
            raise QueryFailed(_refused(statement, reason_of_database(error))) from error


@contextmanager
def _opened_by_sqlalchemy(url: str) -> Iterator[Database]:
    import sqlalchemy  # few sites keep their records in a database

    engine = open_database(url)
    try:
        try:
            connection = engine.connect()
        except sqlalchemy.exc.SQLAlchemyError as error:
            why = reason_of_database(error)
            raise QueryFailed(f"the database cannot be opened: {why}") from error
        with connection:  # without a commit, nothing is written
            yield _OfSqlalchemy(connection)
    finally:
        engine.dispose()


class _OfDuckdb:
    def __init__(self, connection: Any) -> None:  # noqa: ANN401 -- the package is optional
        self._connection = connection

    def chunks(self, statement: str) -> Iterator[Sequence[Row]]:
        import duckdb

        try:
            cursor = self._connection.execute(statement)
            while rows := cursor.fetchmany(_CHUNK):
                yield rows
        except duckdb.Error as error:
            raise QueryFailed(_refused(statement, reason_of_database(error))) from error


@contextmanager
def _opened_duckdb(path: Path) -> Iterator[Database]:
    require_library("to read a DuckDB database", "duckdb", extra="data")
    import duckdb

    if not path.is_file():
        raise MissingFile(f"there is no database {path}: check the path")
    try:
        connection = duckdb.connect(path, read_only=True)
    except duckdb.Error as error:
        why = reason_of_database(error)
        raise QueryFailed(f"the database cannot be opened: {why}") from error
    with connection:
        yield _OfDuckdb(connection)


def _refused(statement: str, why: str) -> str:
    return f"the database refused a statement of the OMOP map: {why}; the statement: {statement}"
