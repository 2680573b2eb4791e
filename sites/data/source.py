"""Where a site's records are: a table, a database query, or files of text.

These are descriptions only: nothing is opened here.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sites.data.reading import AS_DECLARED, UTF_8, BadReading, Reading, encoding_named, parsed_words
from sites.schema.tables import NAME

# The side that the name of a file says.
SIDES = {
    "train": "train",
    "dev": "dev",
    "devel": "dev",
    "valid": "dev",
    "validation": "dev",
    "test": "test",
}
# Files of SAS, SPSS and Stata.
STATISTICAL = (".xpt", ".sas7bdat", ".sav", ".zsav", ".dta")
# Files of Arrow, in which Hugging Face `datasets` may name the classes of a column.
_NAMING = (".parquet", ".feather", ".arrow")


class _Source(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    # How its columns and cells are to be understood, beyond what the schema says.
    reading: Reading = AS_DECLARED


class TableFile(_Source):
    """A table in a file, whose ending says its format, or a folder of Parquet or Arrow files.

    Args:
        path: CSV (`.csv`), tab-separated (`.tsv`), JSON lines (`.jsonl`), Parquet (`.parquet`),
            Feather (`.feather`), Arrow (`.arrow`), Excel (`.xlsx`), SAS (`.xpt`, `.sas7bdat`),
            SPSS (`.sav`, `.zsav`) or Stata (`.dta`); CSV, TSV and JSON lines may be compressed
            (`.gz`).
        separator: Character between the values of a CSV file; a comma by default.
        encoding: How characters are written in a CSV, TSV or JSON lines file; in one of SAS, SPSS
            or Stata, anything but UTF-8 replaces what the file says of itself.
        sheet: Name of the sheet of an Excel workbook that has several.
        split: Column that says `train` or `test`, in this spelling, for every row; without it,
            the site holds out a fifth of its persons by a rule of its own.
    """

    kind: Literal["file"] = "file"
    path: Path
    separator: Literal[",", ";", "\t", "|"] | None = None
    encoding: str = UTF_8
    sheet: str | None = None
    split: str | None = Field(default=None, pattern=NAME)

    @field_validator("encoding")
    @classmethod
    def _encoding_exists(cls, said: str) -> str:
        return encoding_named(said)


class SqlQuery(_Source):
    """The rows that a database query returns.

    Guarantee: the object's `repr` shows neither the URL nor the query: a URL may hold a password.

    Args:
        url: SQLAlchemy URL of the database, such as `postgresql+psycopg://host/db`.
        query: The statement that selects the rows; it only reads.
        split: As for `TableFile`.
    """

    kind: Literal["sql"] = "sql"
    url: str = Field(repr=False)
    query: str = Field(repr=False, min_length=1)
    split: str | None = Field(default=None, pattern=NAME)


class FhirFiles(_Source):
    """FHIR R4 resources in files of bulk data (NDJSON), and the map that makes rows of them.

    Args:
        path: A file, or a directory with `.ndjson` files, which may be compressed (`.gz`).
        map: The map (`sites.data.fhir.maps.FhirMap`), in TOML or JSON.
        split: None: the site holds out a fifth of its persons by a rule of its own.
    """

    kind: Literal["fhir"] = "fhir"
    path: Path
    map: Path
    split: None = None


class OmopDatabase(_Source):
    """A database with tables of the OMOP CDM 5.4, and the map that makes rows of them.

    Guarantee: the object's `repr` does not show the URL, which may hold a password.

    Args:
        url: SQLAlchemy URL of the database; or the path of a DuckDB file, which ends in `.duckdb`.
        map: The map (`sites.data.omop.maps.OmopMap`), in TOML or JSON.
        split: None: the site holds out a fifth of its persons by a rule of its own.
    """

    kind: Literal["omop"] = "omop"
    url: str = Field(repr=False)
    map: Path
    split: None = None


class TextFolder(_Source):
    """A directory of `.txt` files in UTF-8, one record per file.

    The label of a file is in a table beside the files, or it is the name of the sub-directory
    that holds the file.

    Args:
        path: The directory.
        labels: A CSV table with a column `file`, the file's path within the directory, and other
            columns, such as the label, the person and the side. By default `labels.csv` in the
            directory, if there is one.
        text: Name of the column for the text.
        label: Name of the column for the name of the sub-directory.
        person: Name of the column for the name of the file, unless the table has that column.
        split: Column of the table that says `train` or `test` for every file.
    """

    kind: Literal["folder"] = "folder"
    path: Path
    labels: Path | None = None
    text: str = Field(default="text", pattern=NAME)
    label: str = Field(default="label", pattern=NAME)
    person: str = Field(default="person", pattern=NAME)
    split: str | None = Field(default=None, pattern=NAME)


class SentenceFiles(_Source):
    """Sentences with one tag per token; whose they are, and their side, the reader says.

    Args:
        path: The file, or the directory.
        split: `file` if each file is named after its side: `train`, `test`, or one of `dev`,
            `devel`, `valid` and `validation`, which are not used.
    """

    path: Path
    split: Literal["file"] | None = None


class IobFiles(SentenceFiles):
    """An IOB2 file, or a directory of such files.

    Their names end in `.iob`, `.iob2`, `.conll`, `.bio`, `.tsv` or `.txt`.

    A line holds a token and its tag, as the first and the last of its fields; all lines have as
    many fields, and the first is not the number of the word. An empty line ends a sentence. A line
    `-DOCSTART-` begins a document; without such lines, each file of a directory is a document.
    """

    kind: Literal["iob"] = "iob"


class AnnotatedFiles(SentenceFiles):
    """Documents in which entities are marked by their places in the text.

    What a file or directory holds says its format: `sites.data.annotated.formats`.
    """

    kind: Literal["annotated"] = "annotated"


TableSource: TypeAlias = TableFile | SqlQuery | FhirFiles | OmopDatabase
TextSource: TypeAlias = TextFolder | IobFiles | AnnotatedFiles
DataSource: TypeAlias = Annotated[TableSource | TextSource, Field(discriminator="kind")]

FileIdentity: TypeAlias = tuple[str, int, int, int]


def with_words(source: DataSource, words: Sequence[str]) -> DataSource:
    """Return a source that is read as words say (`sites.data.reading.WORDS`).

    Raises:
        BadReading: A word is none, contradicts another one, or cannot hold for this source.
    """
    form, reading = parsed_words(words)
    said = {name: value for name, value in form.model_dump().items() if value is not None}
    ending = (
        source.path.name.lower().removesuffix(".gz").rpartition(".")[2]
        if isinstance(source, TableFile)
        else ""
    )
    if isinstance(source, TableFile) and source.path.is_dir():
        ending = "arrow"
    statistical = tuple(one.removeprefix(".") for one in STATISTICAL)
    needed = {
        "separator": ("csv", "tsv"),
        "encoding": ("csv", "tsv", "jsonl", *statistical),
        "sheet": ("xlsx",),
        "codes": (*statistical, *(one.removeprefix(".") for one in _NAMING)),
    }
    for name in (*said, *(["codes"] if reading.codes else [])):
        if ending not in needed[name]:
            raise BadReading(
                f"'{name}:' is said of files that end in .{', .'.join(needed[name])} only: "
                "leave it out"
            )
    return source.model_copy(update={**said, "reading": reading})


def is_parquet_folder(path: Path) -> bool:
    """Return whether a folder holds one table, as Parquet files in it or below it.

    Files that are named after a side, such as `train.parquet`, are two tables: not that.
    """
    stems = {one.stem.lower() for one in path.rglob("*.parquet")}
    return bool(stems) and stems.isdisjoint(SIDES)


def is_in_database(source: DataSource) -> bool:
    """Return whether the records are rows of a database, whose changes no file tells."""
    return isinstance(source, SqlQuery | OmopDatabase)


def source_paths(source: DataSource) -> tuple[Path, ...]:
    """Return the files and directories that hold the records, and maps; none for a query."""
    match source:
        case TableFile(path=path) | SentenceFiles(path=path) | TextFolder(path=path, labels=None):
            return (path,)
        case TextFolder(path=path, labels=Path() as labels):
            return (path, labels)
        case FhirFiles(path=path, map=declared):
            return (path, declared)
        case OmopDatabase(map=declared):
            return (declared,)
    return ()


def file_identities(path: Path) -> tuple[FileIdentity, ...]:
    """Return what tells a file, or each file of a directory, from another one at the same place.

    Name, time of the last change, size and inode; nothing for what is not there.
    """
    if path.is_dir():
        return tuple(
            identity for one in sorted(path.iterdir()) for identity in file_identities(one)
        )
    try:
        facts = path.stat()
    except OSError:
        return ()
    return ((str(path), facts.st_mtime_ns, facts.st_size, facts.st_ino),)
