"""Laws of annotated documents: what was marked comes back, and what does not fit is refused.

`bioc-2.1` holds made-up documents as the package bioc 2.1 (BSD) writes them.
"""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from sites.data.annotated.corpus import notes_on_annotations, read_annotated
from sites.data.annotations import read_annotated_sentences, read_unannotated_sentences
from sites.data.iob2_files import UnknownSide, sentence_source
from sites.data.source import AnnotatedFiles, DataSource, TableFile, TextFolder
from sites.data.tables import BrokenFile, EmptyTable, MissingFile, UnknownFormat
from sites.data.texts import read_texts
from sites.schema.texts import EntitySchema
from sites.text.iob2_tags import spans_of, tag_names
from tests.sites.data.annotated.standoff import Marked, documents, write_brat, write_pubtator

WRITTEN = Path(__file__).with_name("bioc-2.1")
SCHEMA = EntitySchema(name="notes", types=("Disease", "Drug"))


@given(documents())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_what_is_written_as_standoff_is_read_back(tmp_path: Path, written: list[Marked]) -> None:
    """The same words and tags, also where a character has several units or bytes."""
    write_brat(tmp_path / "brat", written)
    frame = read_annotated(AnnotatedFiles(path=tmp_path / "brat"))
    expected = [(one.name, one.tokens, one.tags) for one in written]
    assert list(zip(frame["person"], frame["tokens"], frame["tags"], strict=True)) == expected
    write_pubtator(tmp_path / "all.pubtator", written)
    frame = read_annotated(AnnotatedFiles(path=tmp_path / "all.pubtator")).iloc[1::2]
    assert list(zip(frame["person"], frame["tokens"], frame["tags"], strict=True)) == expected


def entities(source: DataSource) -> list[tuple[str, str, str]]:
    """Return whose each entity is, its type, and its words."""
    found = read_annotated_sentences(source, SCHEMA)
    names = tag_names(SCHEMA.types)
    return [
        (str(person), span.kind, " ".join(tokens[span.start : span.end]))
        for person, tokens, codes in zip(found.persons, found.tokens, found.tags, strict=True)
        for span in spans_of([names[code] for code in codes])
    ]


@pytest.mark.parametrize(
    "source",
    [
        TextFolder(path=WRITTEN / "brat"),
        *(TableFile(path=WRITTEN / f"made-up.{end}") for end in ("pubtator", "xml", "json")),
    ],
)
def test_files_of_another_program_are_read(source: TextFolder | TableFile) -> None:
    """The longer of two overlapping entities is kept, and a word is parted at an edge in it."""
    found = sentence_source(source)
    assert isinstance(found, AnnotatedFiles)
    assert entities(found) == [
        ("1001", "Disease", "Fever"),
        ("1001", "Disease", "Crohn\u2019s disease"),
        ("1001", "Disease", "breast and ovarian cancer"),
        ("1001", "Drug", "Aspirin"),
        ("1001", "Disease", "lymphoma"),
    ]
    notes = "\n".join(notes_on_annotations(found))
    assert "1 entity not used" in notes
    assert "1 word parted" in notes
    assert ("1 entity in several parts" in notes) == (source.path.suffix != ".pubtator")


def test_without_tags_no_edge_of_an_entity_parts_a_word() -> None:
    words = read_unannotated_sentences(AnnotatedFiles(path=WRITTEN / "brat"), SCHEMA)
    assert "lymphoma-like" in words[2]


def test_a_document_is_a_person_and_one_name_is_one_document(tmp_path: Path) -> None:
    text = "7|t|A cold\n7\t2\t6\tcold\tDisease\tD1\n"
    (tmp_path / "train.txt").write_text(text)
    (tmp_path / "test.txt").write_text(text)
    with pytest.raises(BrokenFile, match=r"train\.txt line 1 is a second document"):
        read_annotated(AnnotatedFiles(path=tmp_path))


def test_file_names_give_the_side_if_all_of_them_do(tmp_path: Path) -> None:
    for number, side in enumerate(["train", "devel", "test"]):
        (tmp_path / f"{side}.PubTator.txt").write_text(f"{number}|t|A cold\n")
    source = sentence_source(TextFolder(path=tmp_path))
    assert source == AnnotatedFiles(path=tmp_path, split="file")
    assert read_texts(source)["split"].tolist() == ["dev", "test", "train"]
    (tmp_path / "rest.txt").write_text("9|t|A cold\n")
    assert read_texts(sentence_source(TextFolder(path=tmp_path)))["split"].tolist() == [""] * 4
    with pytest.raises(UnknownSide, match=r"rest\.txt is not named after its side"):
        read_annotated(AnnotatedFiles(path=tmp_path, split="file"))


def test_what_holds_no_documents_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFile):
        read_annotated(AnnotatedFiles(path=tmp_path / "nowhere"))
    with pytest.raises(UnknownFormat, match="holds no annotated documents"):
        read_annotated(AnnotatedFiles(path=tmp_path))
    (tmp_path / "a.txt").write_text(" \n")
    (tmp_path / "a.ann").write_text("")
    with pytest.raises(EmptyTable):
        read_annotated(AnnotatedFiles(path=tmp_path))
