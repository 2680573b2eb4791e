"""The file of a proposed scenario: TOML with remarks on what is a guess."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from consortium.cli.options import FHIR, OMOP, mapped_option, parse_data_source
from scenarios.user_data.proposal import MOST_VALUES, Proposal, ProposedColumn
from sites.data.source import FhirFiles, OmopDatabase, SqlQuery

_HEAD = (
    "# A proposal, made from what is in the tables: correct it before you run it.",
    "# Bounds are rounded outwards. A value beyond them, or one that is not declared, is refused",
    "# at every site: declare what may occur, not what did.",
)


def proposed_file(proposal: Proposal, name: str, *, beside: Path) -> str:
    """Return the text of a scenario's file.

    Args:
        proposal: What to say of the tables.
        name: Of the scenario.
        beside: The folder of the file, from which files of data are named.
    """
    lines = [*_HEAD, f"name = {_text(name)}", f"title = {_text(name)}", ""]
    lines += _schema_lines(proposal, name)
    for site, data in proposal.sites.items():
        lines += [f"[sites.{site}]", f"data = {_text(_place(data, beside))}"]
        words = [*proposal.words[site], *_words_of_columns(proposal, site)]
        lines += [f"words = {_list(words)}"] if words else []
        lines.append("")
    lines += [
        "[config] # docs/run-config.md has every key",
        "num-server-rounds = 20",
        '# aggregation = "encrypted" # takes three sites or more',
    ]
    return "\n".join(lines) + "\n"


def _schema_lines(proposal: Proposal, name: str) -> Iterator[str]:
    whose = proposal.person
    yield "[schema]"
    yield f"name = {_text(name)}"
    if whose is None:
        yield 'person = "person" # no column seems to say whose a row is: see persons:rows below'
    else:
        yield f"person = {_text(whose.ours)} # whose a row is; a person's rows stay together"
    yield ""
    for column in proposal.others:
        lacking = [site for site in proposal.sites if site not in column.theirs]
        if lacking and column.is_readable:
            yield f"# no column of {', '.join(lacking)} has such a name: say which, or remove it"
        yield from _feature_lines(column)
    yield "[schema.label] # what is learnt"
    yield f"column = {_text(proposal.label.ours)}"
    if proposal.label.values:
        yield 'kind = "classes"'
        yield f"classes = {_list(proposal.label.values)} # of two, the second is the positive one"
    else:
        yield 'kind = "number"'
        yield from _bounds_lines(proposal.label)
    yield ""


def _feature_lines(column: ProposedColumn) -> Iterator[str]:
    if not column.is_readable:
        many = f"{column.n_texts} different texts" if column.n_texts > MOST_VALUES else "one value"
        yield f"# {column.ours} is left out: it has {many if column.n_texts else 'no values'}"
        yield ""
        return
    yield "[[schema.features]]"
    yield f"name = {_text(column.ours)}"
    if column.is_category:
        yield 'kind = "category"'
        yield f"values = {_list(column.values)}"
    else:
        yield 'kind = "number"'
        yield from _bounds_lines(column)
    if column.missing:
        yield "missing = true"
    yield ""


def _bounds_lines(column: ProposedColumn) -> Iterator[str]:
    low, high = column.bounds or (0.0, 1.0)
    yield f"low = {low!r}"
    yield f"high = {high!r}"
    if column.dates:
        yield 'unit = "days" # since 1970-01-01'


def _words_of_columns(proposal: Proposal, site: str) -> list[str]:
    """Return words for the columns of a site that are called otherwise, or hold dates."""
    used = [one for one in proposal.columns if one.is_readable or one is proposal.person]
    here = [(one, one.theirs[site]) for one in used if site in one.theirs]
    words = [f"column:{one.ours}={theirs}" for one, theirs in here if theirs != one.ours]
    words += [
        f"date:{one.ours}={one.dates[site]}"
        for one, _ in here
        if site in one.dates and one is not proposal.person
    ]
    return words if proposal.person else [*words, "persons:rows"]


def _place(data: str, beside: Path) -> str:
    """Return where data are as a file in a folder names them."""

    def named(path: Path) -> str:
        return Path(os.path.relpath(path, beside.resolve())).as_posix()

    match parse_data_source(data):
        case FhirFiles(path=path, map=declared):
            return mapped_option(FHIR, named(path), named(declared))
        case OmopDatabase(url=url, map=declared):
            return mapped_option(
                OMOP, named(Path(url)) if "://" not in url else url, named(declared)
            )
        case SqlQuery():
            return data
        case found:
            return named(found.path)


def _text(text: str) -> str:
    """Return a basic string of TOML: JSON's is one, but for a sign that JSON may leave bare."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _list(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(_text, texts))}]"
