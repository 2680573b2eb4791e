"""Whoever mistyped a key of a document is told which one, and what it was meant to be."""

import json
import traceback
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from consortium.charter.document import Charter
from consortium.site.directory import BadSite, SiteConfig, read_site_config
from privacy.policy.document import Policy
from privacy.storage.document_mistakes import document_mistakes
from sites.schema.texts import AgreedTable

SCHEMA = '{"name": "w", "person": "p", "features": [%s], "label": %s}'
NUMBER = '{"kind": "number", "name": "x", "low": 1, "high": 2}'
LABEL = '{"kind": "classes", "column": "y", "classes": ["a", "b"]}'


def mistakes(document: Any, text: str) -> str:
    """Return what is said of a document."""
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(document).validate_json(text)
    return document_mistakes(refused.value, document)


@pytest.mark.parametrize(
    ("document", "text", "said"),
    [
        (Policy, '{"taskz": []}', "there is no key 'taskz': did you mean 'tasks'?"),
        (
            Policy,
            '{"pace": {"rounds_per_dya": 3}}',
            "there is no key 'pace.rounds_per_dya': did you mean 'rounds_per_day'?",
        ),
        (
            Policy,
            '{"privacy": {"ceilings": {"*": {"epsilom": 1, "delta": 0.1}}}}',
            "there is no key 'privacy.ceilings.*.epsilom': did you mean 'epsilon'?; "
            "the key 'privacy.ceilings.*.epsilon' is missing",
        ),
        (Policy, '{"tasks": "all"}', "tasks: should be a valid array, got 'all'"),
        (
            SiteConfig,
            '{"name": "a", "source": {"kind": "file", "path": "a", "seperator": ";"}}',
            "there is no key 'source.seperator': did you mean 'separator'?",
        ),
        (
            AgreedTable,
            SCHEMA % (NUMBER.replace('"low"', '"lo"'), LABEL),
            "there is no key 'features[0].lo': did you mean 'low'?; "
            "the key 'features[0].low' is missing",
        ),
        (
            AgreedTable,
            SCHEMA % (NUMBER, LABEL.replace('"classes": [', '"clases": [')),
            "there is no key 'label.clases': did you mean 'classes'?; "
            "the key 'label.classes' is missing",
        ),
        (Charter, '{"nam": "a"}', "there is no key 'nam': did you mean 'name'?"),
    ],
)
def test_a_mistyped_key_is_named_with_the_nearest_one(
    document: Any,
    text: str,
    said: str,
) -> None:
    found = mistakes(document, text)
    assert found.startswith(said)
    assert "pydantic" not in found
    assert "http" not in found


def test_of_a_key_like_no_other_all_keys_are_named() -> None:
    assert "the keys are version, tasks, " in mistakes(Policy, '{"zzzzzz": 1}')


URL = "postgresql://u:hunter2@host/db"
SQL = {"kind": "sql", "url": URL}


@pytest.mark.parametrize(
    "source",
    [
        URL,
        f"{URL}::SELECT 1",
        "sqlite:///a b:hunter2@c",
        [URL],
        SQL,
        {**SQL, "query": 5},
        {**SQL, "query": "q", "reading": URL},
        {**SQL, "query": "q", "split": URL},
        {**SQL, "query": "q", URL: 1},
        {"kind": URL},
        {"kind": "postgres", "url": URL},
        {"url": URL},
    ],
)
def test_neither_the_message_nor_the_log_shows_the_password_of_a_database(
    source: object, tmp_path: Path
) -> None:
    """Wherever its URL was written: the site's log holds the errors that led to a refusal, too."""
    (tmp_path / "site.json").write_text(json.dumps({"name": "a", "source": source}))
    with pytest.raises(BadSite, match="source") as refused:
        read_site_config(tmp_path)
    assert "hunter2" not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize("url", ["5", '{"password": "hunter2"}', '["hunter2"]'])
def test_a_value_that_may_hold_a_password_is_not_quoted(url: str) -> None:
    text = '{"name": "a", "source": {"kind": "sql", "query": "SELECT 1", "url": %s}}'
    found = mistakes(SiteConfig, text % url)
    assert "source.url" in found
    assert "hunter2" not in found
    assert ", got" not in found


class _Renamed(BaseModel, extra="forbid"):
    """A document whose key is a word that its model cannot use."""

    table: int = Field(alias="schema")


def test_a_key_is_named_as_the_document_writes_it() -> None:
    said = "there is no key 'schemas': did you mean 'schema'?; the key 'schema' is missing"
    assert mistakes(_Renamed, '{"schemas": 1}') == said
    assert mistakes(_Renamed, '{"schema": "x"}').startswith("schema: ")
