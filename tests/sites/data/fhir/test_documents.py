"""The text of a note is what was written, whole; what is no plain text is refused."""

import base64
from pathlib import Path

import pytest

from sites.data.fhir.documents import document_codings
from sites.data.fhir.refusals import BadResources
from sites.data.texts import read_texts
from sites.schema.tables import ClassLabel
from sites.schema.texts import NotesSchema
from sites.tasks.text.classification_data import notes_of
from tests.sites.data.fhir.wards import Json, condition, patient, table_of, write_ward

LETTER = "Herz\u00fcberwachung,\r\nkein  Befund. \U0001f600\n"
NOTES = """person = "person"
[index]
resource = "DocumentReference"
codes = ["http://loinc.org|18842-5"]
take = "each"
[columns.text]
resource = "DocumentReference"
value = "text"
[columns.kind]
resource = "DocumentReference"
value = "category"
means = { "s|a" = "ward", "s|b" = "clinic" }
[columns.ill]
resource = "Condition"
take = "exists"
within_days = [-9999, 30]
"""


def attachment(written: str, encoding: str = "utf-8", **more: object) -> Json:
    data = base64.b64encode(written.encode(encoding)).decode()
    return {"contentType": "text/plain", "data": data, **more}


def note(name: str = "d1", *attached: Json, **more: object) -> Json:
    return {
        "resourceType": "DocumentReference",
        "id": name,
        "status": "current",
        "type": {"coding": [{"system": "http://loinc.org", "code": "18842-5"}]},
        "category": [{"coding": [{"system": "s", "code": "a"}]}],
        "subject": {"reference": "Patient/1"},
        "date": "2024-06-01T10:00:00Z",
        "content": [{"attachment": one} for one in attached or [attachment(LETTER)]],
        **more,
    }


@pytest.mark.parametrize(
    "attached",
    [
        attachment(LETTER),
        attachment(LETTER, contentType="text/plain; charset=UTF-8"),
        attachment(LETTER, "utf-16", contentType='Text/Plain;charset="utf-16"'),
    ],
)
def test_a_text_is_as_it_was_written(attached: Json, tmp_path: Path) -> None:
    pdf = {"contentType": "application/pdf", "data": "JVBERi0="}
    frame = table_of(tmp_path, [note("d", pdf, attached), patient(), condition("x")], NOTES).frame
    assert frame.to_dict("records") == [
        {"person": "1", "text": LETTER, "kind": "ward", "ill": "yes"}
    ]


def test_a_text_may_stand_in_a_binary_before_or_after(tmp_path: Path) -> None:
    def binary(name: str, text: str) -> Json:
        return {"resourceType": "Binary", "id": name, **attachment(text)}

    def refers(url: str) -> Json:
        return {"contentType": "text/plain", "url": url}

    lines = [
        binary("x", "one"),
        note("d1", refers("Binary/x")),
        note("d2", refers("https://ehr.example/fhir/Binary/y/_history/1")),
        patient(),
        binary("y", "two"),
    ]
    assert [*table_of(tmp_path, lines, NOTES).frame["text"]] == ["one", "two"]
    with pytest.raises(BadResources, match=r"line 3 \(Document.*url\); export the type Binary"):
        table_of(tmp_path, lines[:4], NOTES)


@pytest.mark.parametrize(
    "more",
    [{"status": "superseded"}, {"docStatus": "preliminary"}, {"docStatus": "entered-in-error"}],
)
def test_a_document_that_does_not_count_is_no_row(more: Json, tmp_path: Path) -> None:
    other = note("d2", type={"coding": [{"system": "http://loinc.org", "code": "1"}]})
    lines = [patient(), note(), note("d3", **more), other]
    assert len(table_of(tmp_path, lines, NOTES).frame) == 1


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (note("d", {"contentType": "text/html", "data": "PGI+"}), "one attachment of type text/pl"),
        (note("d", attachment("a"), attachment("b")), "one attachment of type text/plain"),
        (note("d", attachment(" \n")), "a text that is not empty"),
        (note("d", {"contentType": "text/plain"}), "a text that is not empty"),
        (note("d", {"contentType": "text/plain", "data": "!"}), "written in base64"),
        (note("d", attachment("\u00e9", "latin-1")), "text in utf-8"),
        (note("d", attachment("a", contentType="text/plain;charset=x")), "text in x, written"),
        (note("d", category=[{"coding": [{"system": "s", "code": "z"}]}]), "is 's|z'"),
        (note("d", category=[]), "one value that the map declares"),
        (
            note("d", category=[{"coding": [{"system": "s", "code": one}]} for one in "ab"]),
            "codings that mean one value",
        ),
    ],
)
def test_a_document_that_cannot_be_read_is_refused_and_its_text_is_not_quoted(
    document: Json, told: str, tmp_path: Path
) -> None:
    with pytest.raises(BadResources) as refused:
        table_of(tmp_path, [patient(), document], NOTES)
    assert told in str(refused.value)
    assert "all.ndjson line 2 (DocumentReference/d" in str(refused.value)


def test_documents_are_notes_of_a_text_task(tmp_path: Path) -> None:
    schema = NotesSchema(name="n", label=ClassLabel(column="kind", classes=("clinic", "ward")))
    source = write_ward(tmp_path, [patient(), note("d1"), note("d2")], NOTES)
    assert [*notes_of(read_texts(source), schema).texts] == [LETTER, LETTER]


def test_a_document_is_coded_by_type_and_category() -> None:
    assert document_codings(note()) == (("http://loinc.org", "18842-5"), ("s", "a"))
    assert document_codings({}) == ()
