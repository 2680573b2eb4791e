"""Parse option values; an invalid value is refused with what was expected."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import typer

from consortium.charter.document import DIGEST
from consortium.config import KEYS, BadConfig, RunConfig, Scalar
from consortium.run.hub_directory import require_leading
from consortium.run.party_directory import require_coordinator
from consortium.site.directory import require_site
from privacy.errors import ConsortiumError
from sites.data.formats.dataset_folders import is_dataset
from sites.data.mapped.digests import map_digest_of
from sites.data.reading import is_word, require_word
from sites.data.source import (
    DataSource,
    FhirFiles,
    OmopDatabase,
    SqlQuery,
    TableFile,
    TextFolder,
    is_parquet_folder,
    source_paths,
    with_words,
)

WORDS_HELP = (
    "How to read it: column:OURS=THEIRS, separator:semicolon, decimal:comma, thousands:point, "
    "encoding:latin-1, missing:CODE, values:COLUMN:THEIRS=OURS, date:COLUMN=DD.MM.YYYY, "
    "persons:rows, sheet:NAME, codes:COLUMN. May be repeated."
)
TRACK_HELP = (
    "Also write each round's released figures for another program: tensorboard:FOLDER, "
    "mlflow:FOLDER, wandb:FOLDER, prometheus:FILE.prom or prometheus:http://127.0.0.1:PORT. "
    "May be repeated."
)
FHIR = "fhir:"
OMOP = "omop:"
MAPPED = (FHIR, OMOP)  # what is read by a map
_MAP = ",map:"
SET_HELP = "key=value of the run config; may be repeated. `consortium run-config` lists the keys."


class BadOption(ConsortiumError, ValueError, code="bad-option"):
    """The value of an option does not have the required form."""


def party_argument(party: str, require: Callable[[Path], None]) -> Any:  # noqa: ANN401
    """Return the argument of a command for the directory of a party that is set up.

    Args:
        party: `site` or `coordinator`.
        require: Refuses a directory in which none is set up, before the command does anything.
    """

    def checked(directory: Path) -> Path:
        require(directory)
        return directory

    return typer.Argument(..., help=f"The {party}'s directory.", callback=checked)


SITE = party_argument("site", require_site)
COORDINATOR = party_argument("coordinator", require_coordinator)
LEADING = party_argument("coordinator", require_leading)  # a hub leads no run
PORT = typer.Option(0, min=0, max=65_535, help="The port of the page; by default any free one.")


def announce_page(address: str) -> None:
    """Print where a page is served, and how that ends."""
    print(f"{address}\nOpen it in a browser on this machine. Ctrl-C ends it.", flush=True)


def parse_overrides(settings: Iterable[str]) -> dict[str, Scalar]:
    """Parse `key=value` settings into run config values, each of its key's type.

    Raises:
        BadOption: A setting does not have the form `key=value`.
        BadConfig: A key is unknown, and the message names the nearest one; or a value has the
            wrong type.
    """
    values: dict[str, Scalar] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise BadOption(f"--set needs key=value, got '{setting}'")
        values[key] = _typed_value(key, text)
    return values


def _typed_value(key: str, text: str) -> Scalar:
    if key not in KEYS:
        RunConfig.parse({key: text})  # raises, and names the nearest key
    if isinstance(KEYS[key], str):
        return text
    try:
        value = json.loads(text)
    except ValueError as error:  # not JSON, or an integer with more digits than Python parses
        raise BadConfig(f"{key} needs a {type(KEYS[key]).__name__}, got '{text}'") from error
    if isinstance(value, bool | int | float | str):
        return value
    raise BadConfig(f"{key} needs a {type(KEYS[key]).__name__}, got '{text}'")


def parse_maps(given: Iterable[str]) -> dict[str, str]:
    """Parse `name=map` options into digests by member; a map is a file, a SHA-256 or empty.

    Raises:
        BadOption: An option does not have that form.
        MissingFile, BadFhirMap: A file is not there, or no map.
    """
    digests: dict[str, str] = {}
    for option in given:
        name, equals, said = option.partition("=")
        if not equals or not name:
            raise BadOption(f"--map needs NAME=FILE or NAME=SHA-256, got '{option}'")
        is_digest = not said or re.fullmatch(DIGEST, said)
        digests[name] = said if is_digest else map_digest_of(Path(said))
    return digests


def parse_data_sources(given: Iterable[str]) -> dict[str, DataSource]:
    """Parse `site=source` options into data sources by site.

    A source is a file; the URL of a database and a query, separated by `::`, as in
    `north=sqlite:///loans.db::SELECT * FROM loans`; or FHIR resources or an OMOP database and their
    map, as in `north=fhir:export,map:ward.toml`. Words say how it is to be read.

    Raises:
        BadOption: An option does not have that form, or its file does not exist.
        BadReading: A word is none, contradicts another one, or cannot hold for its source.
    """
    sources: dict[str, DataSource] = {}
    for option, words in sources_with_words(given):
        site, equals, source = option.partition("=")
        if not equals or not site or not source:
            raise BadOption(f"--data needs site=file or site=url::query, got '{option}'")
        sources[site] = parse_data_source(source, words)
    return sources


def sources_with_words(given: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Return each source among options, as it was typed, with the words that say how to read it.

    A word such as `decimal:comma` holds for the source before it; those before the first source
    hold for all.

    Raises:
        BadReading: An option looks like a word and is none.
    """
    for_all: list[str] = []
    sources: list[tuple[str, list[str]]] = []
    for option in given:
        if is_word(option):
            (sources[-1][1] if sources else for_all).append(option)
        else:
            sources.append((option, []))
    for source, _ in sources:
        if not Path(source).exists() and "::" not in source and not source.startswith(MAPPED):
            require_word(source)
    return [(source, [*for_all, *words]) for source, words in sources]


def parse_one_source(given: Iterable[str]) -> DataSource:
    """Parse one source and the words that say how to read it.

    Raises:
        BadOption: There is none, or more than one.
        BadReading: A word is none, contradicts another one, or cannot hold for this source.
    """
    sources = sources_with_words(given)
    if len(sources) != 1:
        raise BadOption(
            f"--data needs one file, directory or url::query, and words such as decimal:comma; "
            f"got {len(sources)} of the first kind"
        )
    return parse_data_source(*sources[0])


def parse_data_source(text: str, words: Sequence[str] = (), *, folder: Path = Path()) -> DataSource:
    """Parse a data source: a file, a directory, a URL and a query, or what a map reads.

    Args:
        text: The source.
        words: How it is to be read (`sites.data.reading.WORDS`).
        folder: From which files are named, unless from the root.

    Raises:
        BadOption: There is no such file, or the URL has no query.
        BadReading: A word is none, contradicts another one, or cannot hold for this source.
    """
    return with_words(_parse_place(text, folder), words)


def _parse_place(text: str, folder: Path) -> DataSource:
    if text.startswith(FHIR):
        return _parse_fhir(text, folder)
    if text.startswith(OMOP):
        return _parse_omop(text, folder)
    url, separated, query = text.partition("::")
    if separated and query:
        return SqlQuery(url=url, query=query)
    if "://" in text:
        # The URL may hold a password, so the message does not quote it.
        raise BadOption("a database needs a query: write url::query")
    path = (folder / text).resolve()
    if not path.exists():
        raise BadOption(
            f"there is no file {path}: check the path, or write url::query for a database"
        )
    if path.is_dir() and not (is_parquet_folder(path) or is_dataset(path)):
        return TextFolder(path=path)
    return TableFile(path=path)


def mapped_option(kind: str, place: str, declared: str) -> str:
    """Return how a source that a map reads is typed.

    Args:
        kind: One of `MAPPED`.
        place: Of the source.
        declared: The map's file.
    """
    return f"{kind}{place}{_MAP}{declared}"


def _parse_fhir(text: str, folder: Path) -> FhirFiles:
    export, separated, declared = text.removeprefix(FHIR).rpartition(_MAP)
    if not separated or not export or not declared:
        raise BadOption(f"FHIR resources need their map: fhir:FOLDER,map:FILE, got '{text}'")
    source = FhirFiles(path=(folder / export).resolve(), map=(folder / declared).resolve())
    for path in source_paths(source):
        if not path.exists():
            raise BadOption(f"there is no file or directory {path}: check the path")
    return source


def _parse_omop(text: str, folder: Path) -> OmopDatabase:
    url, separated, named = text.removeprefix(OMOP).rpartition(_MAP)
    if not separated or not url or not named:  # the URL may hold a password: it is not quoted
        raise BadOption("an OMOP database needs its map: omop:URL,map:FILE")
    declared = (folder / named).resolve()
    if not declared.exists():
        raise BadOption(f"there is no file {declared}: check the path")
    if "://" not in url:
        path = (folder / url).resolve()
        if path.suffix != ".duckdb":
            raise BadOption(
                "an OMOP database is a URL such as sqlite:///ward.db, or a file of DuckDB that "
                "ends in .duckdb: omop:URL,map:FILE"
            )
        url = str(path)
    return OmopDatabase(url=url, map=declared)
