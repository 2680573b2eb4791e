"""A person's own data for a scenario: a source for each site, or one corpus for all."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from consortium.cli.options import BadOption, data_source, data_sources
from scenarios.scenario import Scenario
from scenarios.user_data.corpus import read_corpus, with_corpus
from sites.data.iob2_files import as_sentences
from sites.data.source import DataSource
from sites.schema.texts import EntitySchema

_OF_A_SITE = re.compile(r"[a-z][a-z0-9_.-]*=")
_COLUMN = "column:"


@dataclass(frozen=True)
class Brought:
    """A scenario with what a person brought.

    Args:
        scenario: The scenario; if one corpus was brought, with that for its records.
        sources: By site, where sites were given their own.
        told: What a person should know of how a corpus was read.
    """

    scenario: Scenario
    sources: Mapping[str, DataSource] = field(default_factory=dict)
    told: tuple[str, ...] = ()


def user_sources(scenario: Scenario, options: Sequence[str], *, seed: int) -> Brought:
    """Return a scenario with the data that `--data` names.

    `site=file` is one site's own; a file, a directory or `url::query` without a site is one
    corpus for all sites; `column:label=diagnosis` says what the corpus calls a column.

    Raises:
        BadOption: There are two corpora, or a corpus beside sites' own data, or a column without
            a corpus.
        ConsortiumError: Nothing could be read, or it cannot be dealt to the sites.
    """
    columns = [option.removeprefix(_COLUMN) for option in options if option.startswith(_COLUMN)]
    others = [option for option in options if not option.startswith(_COLUMN)]
    whole = [option for option in others if not _OF_A_SITE.match(option)]
    sentences = isinstance(scenario.table, EntitySchema)
    if not whole and not columns:
        given = data_sources(others)
        if sentences:
            given = {site: as_sentences(source) for site, source in given.items()}
        return Brought(scenario, given)
    if len(whole) != 1 or len(others) != 1:
        raise BadOption("--data is site=file for some sites, or one corpus for all, not both")
    names = dict(_pair(column) for column in columns)
    corpus = read_corpus(data_source(whole[0]), names, sentences=sentences)
    made, told = with_corpus(scenario, corpus, seed=seed)
    return Brought(made, told=told)


def _pair(column: str) -> tuple[str, str]:
    ours, equals, theirs = column.partition("=")
    if not equals or not ours or not theirs:
        raise BadOption(f"--data column:OURS=THEIRS names a column, got 'column:{column}'")
    return ours, theirs
