"""Where a site's records lie: a table, a query, or files of text. Nothing is opened here."""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from sites.schema.tables import NAME


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


class TextFolder(_Source):
    """One record a file: a directory of `.txt` files, read as UTF-8.

    The label of a file stands in a table beside the files, or is the name of the
    sub-directory that the file is in.

    Args:
        path: The directory.
        labels: A CSV table with a column `file`, the file's path within the directory, and
            whatever else is known of it: the label, the person, the side; `labels.csv` in the
            directory if that is there and nothing else is named.
        text: Name of the column that the text becomes.
        label: Name of the column that a sub-directory's name becomes.
        person: Name of the column that the file's name becomes, unless the table has it.
        split: Column of the table that says `train` or `test` of every file.
    """

    kind: Literal["folder"] = "folder"
    path: Path
    labels: Path | None = None
    text: str = Field(default="text", pattern=NAME)
    label: str = Field(default="label", pattern=NAME)
    person: str = Field(default="person", pattern=NAME)
    split: str | None = Field(default=None, pattern=NAME)


class IobFiles(_Source):
    """Sentences with a tag a token, IOB2: a file, or a directory of files.

    A line is a token and its tag, the first and the last of its fields; an empty line ends a
    sentence. A line `-DOCSTART-` begins a document; without such lines each file of a directory
    is one.

    Args:
        path: The file, or the directory (`.iob`, `.iob2`, `.conll`, `.bio`, `.tsv`, `.txt`).
        split: `file` if the files' names say their side: `train`, `test`, or `dev`, `devel`,
            `valid`, `validation`, which are used for nothing.
    """

    kind: Literal["iob"] = "iob"
    path: Path
    split: Literal["file"] | None = None


TableSource: TypeAlias = TableFile | SqlQuery
TextSource: TypeAlias = TextFolder | IobFiles
DataSource: TypeAlias = Annotated[TableSource | TextSource, Field(discriminator="kind")]
