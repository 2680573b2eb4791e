"""A user's own data for a scenario: one source a site, or one corpus for all sites."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from consortium.cli.options import BadOption, parse_data_source, parse_data_sources
from scenarios.scenario import Scenario
from scenarios.user_data.corpus import read_corpus, scenario_with_corpus
from sites.data.iob2_files import sentence_source
from sites.data.source import DataSource
from sites.schema.texts import EntitySchema

# A URL has a colon before any "=", so that it is never taken for a site.
_OF_A_SITE = re.compile(r"[a-z][a-z0-9_.-]*=")
_COLUMN = "column:"


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
    corpus for all sites. `column:label=diagnosis` says what the corpus calls a column.

    Raises:
        BadOption: There are two corpora, a corpus beside data of single sites, or a column without
            a corpus.
        ConsortiumError: The data cannot be read, or cannot be divided among the sites.
    """
    columns = [option.removeprefix(_COLUMN) for option in options if option.startswith(_COLUMN)]
    others = [option for option in options if not option.startswith(_COLUMN)]
    whole = [option for option in others if not _OF_A_SITE.match(option)]
    sentences = isinstance(scenario.table, EntitySchema)
    if not whole and not columns:
        given = parse_data_sources(others)
        if sentences:
            given = {site: sentence_source(source) for site, source in given.items()}
        return UserData(scenario, given)
    if len(whole) != 1 or len(others) != 1:
        raise BadOption(
            "--data is either site=file for single sites or one corpus for all sites, not both"
        )
    names = dict(_parse_column(column) for column in columns)
    corpus = read_corpus(parse_data_source(whole[0]), names, sentences=sentences)
    made, notes = scenario_with_corpus(scenario, corpus, seed=seed)
    return UserData(made, notes=notes)


def _parse_column(column: str) -> tuple[str, str]:
    ours, equals, theirs = column.partition("=")
    if not equals or not ours or not theirs:
        raise BadOption(f"--data column:OURS=THEIRS names a column, got 'column:{column}'")
    return ours, theirs
