"""What somebody says of how to read a file is parsed once, and refused with what to type."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from sites.data.reading import (
    DATE_FORMS,
    SIGNS,
    BadReading,
    FileForm,
    Reading,
    is_word,
    parsed_words,
    require_word,
)
from sites.data.source import SqlQuery, TableFile, TextFolder, with_words


def test_each_word_says_one_thing() -> None:
    words = [
        "column:age=ALTER",
        "column:loan=LOAN",
        "separator:semicolon",
        "decimal:comma",
        "thousands:point",
        "encoding:latin-1",
        "missing:.",
        "missing:age=-9",
        "missing:age=999",
        "date:admitted=DD.MM.YYYY",
        "persons:rows",
    ]
    assert all(map(is_word, words))
    form, reading = parsed_words(words)
    assert form == FileForm(separator=";", encoding="iso8859-1")
    assert reading == Reading(
        columns={"age": "ALTER", "loan": "LOAN"},
        decimal=",",
        thousands=".",
        missing=(".",),
        missing_in={"age": ("-9", "999")},
        dates={"admitted": "DD.MM.YYYY"},
        persons="rows",
    )


@pytest.mark.parametrize("name", SIGNS)
def test_a_sign_is_said_by_its_name_or_as_it_is(name: str) -> None:
    word = "separator" if SIGNS[name] in ",;\t|" else "thousands"
    other = "decimal:comma" if name == "point" else "decimal:point"
    assert parsed_words([f"{word}:{name}", other]) == parsed_words([f"{word}:{SIGNS[name]}", other])


def test_a_word_may_be_repeated_but_not_contradicted() -> None:
    assert parsed_words(["decimal:comma", "decimal:,"]) == parsed_words(["decimal:comma"])
    with pytest.raises(BadReading, match="contradicts"):
        parsed_words(["decimal:comma", "decimal:point"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["column:age"], "column:OURS=THEIRS is the form"),
        (["column:=ALTER"], "column:OURS=THEIRS is the form"),
        (["column:age=X", "column:sex=X"], "'X' is named for two columns"),
        (["separator:x"], "separator: should be"),
        (["decimal:semicolon"], "decimal: should be"),
        (["decimal:comma", "thousands:comma"], "cannot separate both"),
        (["encoding:utf9"], "there is no encoding 'utf9'"),
        (["encoding:base64"], "there is no encoding 'base64'"),
        (["encoding:undefined"], "there is no encoding 'undefined'"),
        (["encoding:a\0b"], "there is no encoding 'a"),
        (["missing:"], "missing:CODE or missing:COLUMN=CODE"),
        (["date:admitted=DD.MM.YY"], "dates.admitted: should be 'YYYY-MM-DD'"),
        (["persons:columns"], "persons: should be 'column' or 'rows'"),
    ],
)
def test_a_wrong_word_is_refused_with_what_to_type(words: list[str], said: str) -> None:
    with pytest.raises(BadReading, match=said):
        parsed_words(words)


def test_what_looks_like_a_word_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadReading, match="did you mean 'decimal'"):
        require_word("decimel:comma")
    for other in ("own.csv", "sqlite:///a.db::SELECT 1", "north=own.csv", "C:\\own.csv"):
        require_word(other)
        assert not is_word(other)


@pytest.mark.parametrize(
    ("source", "word"),
    [
        (TableFile(path=Path("a.parquet")), "separator:semicolon"),
        (TableFile(path=Path("a.jsonl")), "separator:semicolon"),
        (TableFile(path=Path("a.parquet")), "encoding:latin-1"),
        (SqlQuery(url="sqlite://", query="SELECT 1"), "separator:semicolon"),
        (TextFolder(path=Path("notes")), "encoding:latin-1"),
    ],
)
def test_a_word_that_cannot_hold_for_a_source_is_refused(
    source: TableFile | SqlQuery | TextFolder, word: str
) -> None:
    with pytest.raises(BadReading, match="leave it out"):
        with_words(source, [word])


def test_without_words_a_source_stays_as_it_is() -> None:
    source = TableFile(path=Path("a.csv"), separator=";")
    assert with_words(source, []) == source


def test_what_was_said_stands_in_the_file_of_the_site() -> None:
    """As JSON and back, and what version 0.1.0 wrote says nothing of it."""
    source = with_words(TableFile(path=Path("a.csv")), ["decimal:comma", "column:age=V1"])
    assert TableFile.model_validate_json(source.model_dump_json()) == source
    old = '{"kind": "file", "path": "a.csv", "separator": null, "split": null}'
    assert TableFile.model_validate_json(old) == TableFile(path=Path("a.csv"))


def test_forms_of_dates_are_a_closed_list() -> None:
    """A year of two digits would have to be guessed."""
    assert all("YYYY" in form or form.startswith("excel") for form in DATE_FORMS)
    with pytest.raises(ValidationError):
        Reading.model_validate({"dates": {"day": "%d.%m.%y"}})
