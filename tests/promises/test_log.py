"""Whatever goes wrong at a site, a typed refusal leaves, and no text."""

import json
import locale
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytest
from flwr.app import RecordDict

from consortium.run.records import write_record
from privacy.wire import messages
from sites.data.source import TableFile
from sites.schema.tables import Schema
from tests.consortium.staged import Ward, ward
from tests.small_consortium import forget_processes

NOT_ASCII = "record of M\u00fcller, 63"
NOT_UNICODE = "record \ud800"  # half of a pair: in no encoding


@pytest.fixture
def ascii_locale() -> Iterator[None]:
    """The locale of a service that nobody gave one: files are opened as ASCII."""
    before = locale.setlocale(locale.LC_CTYPE)
    locale.setlocale(locale.LC_CTYPE, "C")
    yield
    locale.setlocale(locale.LC_CTYPE, before)


def escaped(at: Ward, question: RecordDict) -> str:
    """Return the refusal, or the kind of what passed the outermost mod instead."""
    try:
        return at.refusal(messages.STATISTICS, question)
    except UnicodeError as error:
        return type(error).__name__


@pytest.mark.usefixtures("ascii_locale")
@pytest.mark.parametrize("text", [NOT_ASCII, NOT_UNICODE], ids=["not-ascii", "not-unicode"])
def test_an_unforeseen_failure_is_refused_by_type_whatever_its_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    forget_processes()
    at = ward(tmp_path, "hungary")

    def failing(*_: Any) -> None:
        raise RuntimeError(text)

    monkeypatch.setattr(type(at.site.task), "statistics_of", failing)
    question = messages.question(at.site.charter.fingerprint)
    assert escaped(at, question) == "site-error"


@pytest.mark.usefixtures("ascii_locale")
def test_a_cell_that_ascii_has_no_letters_for_is_refused_by_type(tmp_path: Path) -> None:
    """The error of the table quotes the cell, for the site's own log."""
    forget_processes()
    at = ward(tmp_path, "hungary")
    site = at.site
    staged, schema = cast(TableFile, site.config.source), cast(Schema, site.charter.table)
    table = json.loads(pd.read_parquet(staged.path).to_json(orient="records"))
    category = next(one.name for one in schema.features if one.kind == "category")
    table[3][category] = NOT_ASCII
    path = site.directory / "records.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in table))
    source = site.config.model_copy(update={"source": TableFile(path=path)})
    write_record(site.directory / "site.json", source)
    forget_processes()
    assert escaped(at, messages.question(site.charter.fingerprint)) == "bad-table"
