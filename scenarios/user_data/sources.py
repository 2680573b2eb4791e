"""A user's own data for a scenario: one source a site, or one corpus for all sites."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from consortium.cli.options import (
    MAPPED,
    BadOption,
    parse_data_source,
    parse_data_sources,
    sources_with_words,
)
from privacy.storage.document_mistakes import document_mistakes
from scenarios.scenario import Scenario
from scenarios.user_data.corpus import read_corpus, scenario_with_corpus
from sites.data.annotated.corpus import notes_on_annotations
from sites.data.guesses import notice_of_thousands
from sites.data.iob2_files import sentence_source
from sites.data.reading import MADE_UP_PERSONS
from sites.data.source import AnnotatedFiles, DataSource
from sites.schema.texts import AnySchema, EntitySchema

# A URL has a colon before any "=", so that it is never taken for a site.
_OF_A_SITE = re.compile(r"[a-z][a-z0-9_.-]*=")


@dataclass(frozen=True)
class UserData:
    """A scenario with a user's own data.

    Args:
        scenario: The scenario; if the user brought one corpus, that is its records.
        sources: By site, for sites that were given their own.
        notes: What the user should know about how a corpus was read.
    """

    scenario: Scenario
    sources: Mapping[str, DataSource] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def scenario_with_user_data(scenario: Scenario, options: Sequence[str], *, seed: int) -> UserData:
    """Return a scenario with the data that `--data` names.

    `site=file` is the data of one site. A file, a directory or `url::query` without a site is one
    corpus for all sites. A word after it, such as `column:label=diagnosis`, says how to read it;
    one before the first source holds for all.

    Raises:
        BadOption: There are two corpora, a corpus beside data of single sites, or a word without
            data.
        BadReading: A word is none, contradicts another one, or does not fit the data.
        ConsortiumError: The data cannot be read, or cannot be divided among the sites.
    """
    given = sources_with_words(options)
    if not given and not options:
        return UserData(scenario)
    whole = [source for source, _ in given if not _OF_A_SITE.match(source)]
    if given and not whole:
        return _with_own_tables(scenario, options)
    if len(given) != 1:
        raise BadOption(
            "--data is either site=file for single sites or one corpus for all sites, not both; "
            "words such as column:OURS=THEIRS say how to read it"
        )
    if not (Path(whole[0]).exists() or any(sign in whole[0] for sign in ("::", "://", *MAPPED))):
        raise BadOption(
            f"there is no file {whole[0]}: --data needs site=file for a site's own records, or the "
            "file or directory of one corpus"
        )
    source = source_for(scenario.table, parse_data_source(*given[0]))
    corpus = read_corpus(source, scenario.table)
    made, notes = scenario_with_corpus(scenario, corpus, seed=seed)
    return UserData(made, notes=(*notes_on(source, scenario.table), *notes))


def with_user_data(declared: UserData, options: Sequence[str], *, seed: int) -> UserData:
    """Return a scenario that may have data already with those that `--data` names.

    The data of a single site take the place of those that it has; a corpus takes that of all.

    Raises:
        ConsortiumError: As for `scenario_with_user_data`.
    """
    brought = scenario_with_user_data(declared.scenario, options, seed=seed)
    if brought.scenario.own_records:
        return brought
    sources = {**declared.sources, **brought.sources}
    return UserData(brought.scenario, sources, notes=(*declared.notes, *brought.notes))


def source_for(table: AnySchema, source: DataSource) -> DataSource:
    """Return a source as the records of a schema are read: files of sentences, or as it is."""
    return sentence_source(source) if isinstance(table, EntitySchema) else source


def with_sides(source: DataSource, column: str | None) -> DataSource:
    """Return a source whose column of sides is named; as it is if none is.

    Raises:
        BadOption: No column of such a source can say the side.
    """
    if column is None:
        return source
    try:
        return type(source).model_validate({**dict(source), "split": column})
    except ValidationError as error:
        raise BadOption(
            f"split names a column of a table or of a query's rows, which this source has not: "
            f"{document_mistakes(error, type(source))}"
        ) from error


def notes_on(source: DataSource, table: AnySchema) -> Iterator[str]:
    """Yield what a user should know about how a source is read."""
    if source.reading.persons == "rows":
        yield MADE_UP_PERSONS
    if isinstance(source, AnnotatedFiles):
        yield from notes_on_annotations(source)
    thousands = notice_of_thousands(source, table)
    if thousands:
        yield thousands


def _with_own_tables(scenario: Scenario, options: Sequence[str]) -> UserData:
    parsed = parse_data_sources(options)
    given = {site: source_for(scenario.table, source) for site, source in parsed.items()}
    notes = [
        f"{site}: {note}"
        for site, source in given.items()
        for note in notes_on(source, scenario.table)
    ]
    return UserData(scenario, given, notes=tuple(notes))
