"""Where a site's table lies: a file or a query. Nothing is opened here."""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from sites.schema import NAME


class _Source(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TableFile(_Source):
    """A table in a file; its ending says the format.

    Args:
        path: CSV (`.csv`), tab-separated (`.tsv`), Parquet (`.parquet`) or JSON lines
            (`.jsonl`); CSV, TSV and JSON lines may be compressed (`.gz`).
        separator: Between the values of a CSV file; a comma unless told.
        split: Column that says `train` or `test` of every row; without it, persons are held
            out by a seeded draw.
    """

    kind: Literal["file"] = "file"
    path: Path
    separator: Literal[",", ";", "\t", "|"] | None = None
    split: str | None = Field(default=None, pattern=NAME)


class SqlQuery(_Source):
    """The rows that a query returns.

    Guarantee: neither the URL nor the query shows in the object's text form: a URL may hold a
    password.

    Args:
        url: SQLAlchemy URL of the database, such as `postgresql+psycopg://host/db`.
        query: The statement that selects the rows; it only reads.
        split: As for a file.
    """

    kind: Literal["sql"] = "sql"
    url: str = Field(repr=False)
    query: str = Field(repr=False, min_length=1)
    split: str | None = Field(default=None, pattern=NAME)


DataSource: TypeAlias = Annotated[TableFile | SqlQuery, Field(discriminator="kind")]
