"""Laws of UIMA's documents: what `dkpro-cassis` writes is read back, with positions in UTF-16.

The files are written by that package, in XMI and in JSON, as INCEpTION exports them.
"""

import json
from pathlib import Path

import pytest
from cassis import Cas, TypeSystem
from hypothesis import HealthCheck, given, settings

from privacy.errors import ConsortiumError
from sites.data.annotated.corpus import notes_on_annotations, read_annotated
from sites.data.annotated.formats import format_of
from sites.data.annotated.texts import BadAnnotations
from sites.data.annotated.uima import ENTITY, read_uima
from sites.data.source import AnnotatedFiles
from sites.data.tables import BrokenFile, UnknownFormat
from tests.sites.data.annotated.standoff import Marked, documents

_TITLED = "de.tudarmstadt.ukp.dkpro.core.api.metadata.type.DocumentMetaData"
_OWN = "webanno.custom.Dose"
ENDINGS = ("xmi", "json")


def _types() -> TypeSystem:
    types = TypeSystem()
    entity = types.create_type(ENTITY, supertypeName="uima.tcas.Annotation")
    types.create_feature(entity, "value", "uima.cas.String")
    types.create_type(_OWN, supertypeName="uima.tcas.Annotation")
    titled = types.create_type(_TITLED, supertypeName="uima.tcas.DocumentAnnotation")
    types.create_feature(titled, "documentTitle", "uima.cas.String")
    return types


TYPES = _types()


def document(text: str, *entities: tuple[str | None, int, int], title: str = "") -> Cas:
    """Return a document with entities as (type, start, end) in characters."""
    cas = Cas(typesystem=TYPES)
    cas.sofa_string = text
    cas.sofa_mime = "text/plain"
    for kind, start, end in entities:
        cas.add(TYPES.get_type(ENTITY)(begin=start, end=end, value=kind))
    if title:
        cas.add(TYPES.get_type(_TITLED)(begin=0, end=len(text), documentTitle=title))
    return cas


def write(file: Path, cas: Cas) -> Path:
    (cas.to_xmi if file.suffix == ".xmi" else cas.to_json)(file)
    return file


@pytest.mark.parametrize("ending", ENDINGS)
@given(documents())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
def test_what_is_written_is_read_back(ending: str, tmp_path: Path, written: list[Marked]) -> None:
    folder = tmp_path / "all"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for one in written:
        write(folder / f"{one.name}.{ending}", document(one.text, *one.entities))
    TYPES.to_xml(folder / "TypeSystem.xml")
    frame = read_annotated(AnnotatedFiles(path=folder))
    expected = [(one.name, one.tokens, one.tags) for one in written]
    assert list(zip(frame["person"], frame["tokens"], frame["tags"], strict=True)) == expected


@pytest.mark.parametrize("ending", ENDINGS)
def test_positions_are_utf16_and_line_ends_count(tmp_path: Path, ending: str) -> None:
    """Also of nested entities, of which the sentences keep the longest."""
    text = "😀 a cold\r\nand\tfever"
    marks = (("X", 4, 8), ("X", 2, 8), ("Y", 14, 19))
    file = write(tmp_path / f"a.{ending}", document(text, *marks, title="ward 7.txt"))
    (found,) = read_uima(file, tagged=True)
    assert found.text == text
    assert sorted((one.kind, *one.parts[0]) for one in found.annotations) == sorted(marks)
    assert found.document == "ward 7.txt"
    assert [one.annotations for one in read_uima(file, tagged=False)] == [()]


@pytest.mark.parametrize("ending", ENDINGS)
def test_only_the_first_view_and_what_is_in_its_index_counts(tmp_path: Path, ending: str) -> None:
    cas = document("a cold", ("X", 2, 6))
    other = cas.create_view("translated")
    other.sofa_string = "ein Schnupfen"
    other.add(TYPES.get_type(ENTITY)(begin=4, end=13, value="Y"))
    (found,) = read_uima(write(tmp_path / f"a.{ending}", cas), tagged=True)
    assert [one.kind for one in found.annotations] == ["X"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_annotations_of_own_layers_are_counted(tmp_path: Path, ending: str) -> None:
    cas = document("a cold", ("X", 2, 6))
    cas.add(TYPES.get_type(_OWN)(begin=0, end=1))
    write(tmp_path / f"a.{ending}", cas)
    notes = "\n".join(notes_on_annotations(AnnotatedFiles(path=tmp_path)))
    assert notes == "1 annotation of own layers not used: only named entities are read"


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("entity", "said"),
    [
        ((None, 2, 6), r"annotation \d is a named entity without a value"),
        (("Side effect", 2, 6), "without spaces"),
        (("X", 3, 3), "the range 3 to 3 is empty"),
    ],
)
def test_an_entity_that_cannot_be_used_is_refused(
    tmp_path: Path, ending: str, entity: tuple[str | None, int, int], said: str
) -> None:
    file = write(tmp_path / f"a.{ending}", document("a cold", entity))
    with pytest.raises(BadAnnotations, match=said) as caught:
        list(read_uima(file, tagged=True))
    assert "cold" not in str(caught.value)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("😀 chill", r"says that the text has 7 UTF-16 code units; it has 8"),
        ("a 😀 col", r"says that the text has 7"),
    ],
)
def test_a_text_that_was_changed_is_refused(
    tmp_path: Path, ending: str, text: str, said: str
) -> None:
    """As where a program counted characters, or replaced the text alone."""
    file = write(tmp_path / f"a.{ending}", document("a chill", ("X", 2, 7), title="t"))
    file.write_text(file.read_text().replace('"a chill"', f'"{text}"'))
    with pytest.raises(BadAnnotations, match=said):
        list(read_uima(file, tagged=True))


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_position_within_a_character_or_outside_is_refused(tmp_path: Path, ending: str) -> None:
    file = write(tmp_path / f"a.{ending}", document("a 😀 cold", ("X", 2, 8)))
    for end in ("3", "99", "-1"):
        changed = tmp_path / f"changed.{ending}"
        old, new = ('end="9"', f'end="{end}"') if ending == "xmi" else ('"end": 9', f'"end": {end}')
        assert old in file.read_text()
        changed.write_text(file.read_text().replace(old, new))
        with pytest.raises(BadAnnotations, match="has 9 UTF-16 code units"):
            list(read_uima(changed, tagged=True))


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("a.xmi", "<!DOCTYPE x [<!ENTITY y 'z'>]><xmi:XMI xmlns:xmi='u'>&y;</xmi:XMI>", BrokenFile),
        ("a.xmi", "<?xml version='1.1'?><xmi:XMI xmlns:xmi='http://www.omg.org/XMI'/>", BrokenFile),
        ("a.xmi", "<xmi:XMI xmlns:xmi='http://www.omg.org/XMI'/>", BrokenFile),
        ("a.json", json.dumps({"%FEATURE_STRUCTURES": 3}), BrokenFile),
        ("a.json", json.dumps({"%FEATURE_STRUCTURES": [3]}), BrokenFile),
        ("a.xmi", "<TEI/>", UnknownFormat),
    ],
)
def test_what_is_no_document_is_refused(
    tmp_path: Path, name: str, content: str, error: type[ConsortiumError]
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(error):
        read_annotated(AnnotatedFiles(path=tmp_path / name))


def test_the_types_beside_documents_are_no_document(tmp_path: Path) -> None:
    write(tmp_path / "a.xmi", document("a cold"))
    TYPES.to_xml(tmp_path / "TypeSystem.xml")
    assert format_of(tmp_path) == "UIMA CAS"
