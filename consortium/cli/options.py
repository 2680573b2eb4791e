"""Parse option values; an invalid value is refused with what was expected."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import typer

from consortium.config import KEYS, BadConfig, RunConfig, Scalar
from consortium.run.party_directory import require_coordinator
from consortium.site.directory import require_site
from privacy.errors import ConsortiumError
from sites.data.source import DataSource, SqlQuery, TableFile, TextFolder

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


def parse_data_sources(given: Iterable[str]) -> dict[str, DataSource]:
    """Parse `site=source` options into data sources by site.

    A source is a file, or the URL of a database and a query, separated by `::`, as in
    `north=sqlite:///loans.db::SELECT * FROM loans`.

    Raises:
        BadOption: An option does not have that form, or its file does not exist.
    """
    sources: dict[str, DataSource] = {}
    for option in given:
        site, equals, source = option.partition("=")
        if not equals or not site or not source:
            raise BadOption(f"--data needs site=file or site=url::query, got '{option}'")
        sources[site] = parse_data_source(source)
    return sources


def parse_data_source(text: str) -> DataSource:
    """Parse a data source: a file, a directory, or a URL and a query separated by `::`.

    Raises:
        BadOption: There is no such file, or the URL has no query.
    """
    url, separated, query = text.partition("::")
    if separated and query:
        return SqlQuery(url=url, query=query)
    if "://" in text:
        # The URL may hold a password, so the message does not quote it.
        raise BadOption("a database needs a query: write url::query")
    path = Path(text).resolve()
    if not path.exists():
        raise BadOption(
            f"there is no file {path}: --data needs site=file for a site's own records, or the "
            "file or directory of one corpus"
        )
    return TextFolder(path=path) if path.is_dir() else TableFile(path=path)
