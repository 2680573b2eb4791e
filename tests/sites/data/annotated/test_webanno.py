"""Worked examples of WebAnno TSV, and what is refused of it, with its line.

They follow the format's own description; no file here was written by INCEpTION.
"""

from pathlib import Path

import pytest

from privacy.errors import ConsortiumError
from sites.data.annotated.formats import document_files, format_of
from sites.data.annotated.texts import AnnotatedText, BadAnnotations
from sites.data.annotated.webanno import read_webanno
from sites.data.tables import BrokenFile

HEAD = (
    "#FORMAT=WebAnno TSV 3.3\n"
    "#T_SP=de.tudarmstadt.ukp.dkpro.core.api.lexmorph.type.pos.POS|PosValue\n"
    "#T_SP=de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity|identifier|value\n"
    "#T_SP=webanno.custom.Dose|\n\n\n"
)
BODY = (
    "#Text=😀 yellow fever\n"
    "1-1\t0-2\t😀\tX\t_\t_\t_\t\n"
    "1-2\t3-9\tyellow\tX\t*[1]|*[2]\tDisease[1]|Colour[2]\t*\t\n"
    "1-3\t10-15\tfever\tX\t*[1]\tDisease[1]\t_\t\n"
    "\n"
    "#Sentence.id=s2\n"
    "#Text=lymphoma-like\\ta\n"
    "#Text=b\n"
    "2-1\t17-30\tlymphoma-like\tX\t_\t_\t_\t\n"
    "2-1.1\t17-25\tlymphoma\t_\tC*\tside\\_effect\t_\t\n"
    "2-2\t31-32\ta\tX\t_\t_\t_\t\n"
    "2-3\t33-34\tb\tX\t_\t_\t_\t\n"
)


def read(folder: Path, text: str, *, tagged: bool = True) -> list[AnnotatedText]:
    file = folder / "a.tsv"
    file.write_bytes(text.encode())
    assert format_of(file) == "WebAnno TSV"
    return list(read_webanno(file, tagged=tagged))


def test_entities_of_tokens_parts_of_tokens_and_several_at_one_place(tmp_path: Path) -> None:
    """Positions count UTF-16 code units; what is between sentences becomes line ends."""
    for written in (HEAD + BODY, (HEAD + BODY).replace("\n", "\r\n"), (HEAD + BODY).rstrip("\n")):
        (found,) = read(tmp_path, written)
        assert found.text == "😀 yellow fever\n\nlymphoma-like\ta\nb"
        marks = [(one.kind, found.text[one.start : one.end]) for one in found.annotations]
        assert marks == [
            ("Disease", "yellow fever"),
            ("Colour", "yellow"),
            ("side_effect", "lymphoma"),
        ]
        assert (found.document, found.n_other) == ("a", 1)


def test_without_tags_annotations_are_not_read_but_words_are_checked(tmp_path: Path) -> None:
    (found,) = read(tmp_path, HEAD + BODY.replace("Disease[1]", "*[1]"), tagged=False)
    assert found.annotations == ()
    with pytest.raises(BadAnnotations):
        read(tmp_path, HEAD + BODY.replace("3-9", "2-8"), tagged=False)


def test_a_document_without_entities_has_no_columns_for_them(tmp_path: Path) -> None:
    (found,) = read(tmp_path, "#FORMAT=WebAnno TSV 3.2\n\n\n#Text=well\n1-1\t0-4\twell\t\n")
    assert (found.text, found.annotations) == ("well", ())


@pytest.mark.parametrize(
    ("old", "new", "error", "said"),
    [
        ("3-9\tyellow", "3-9\tYellow", BadAnnotations, "line 9: the text at 3 to 9"),
        ("3-9\tyellow", "1-9\tyellow", BadAnnotations, "line 9: the text at 1 to 9"),
        ("10-15\tfever", "10-99\tfever", BadAnnotations, "line 10: the text at 10 to 99"),
        ("Disease[1]\t_", "Drug[1]\t_", BadAnnotations, "line 9: .* has no value, or several"),
        ("side\\_effect", "*", BadAnnotations, "line 16: .* has no value, or several"),
        ("a\tX\t_\t_", "a\tX\t*[1]\tDisease[1]", BadAnnotations, "line 9: .* neighbouring"),
        ("1-2\t3-9", "1-2 3-9", BrokenFile, "line 9 is not one of WebAnno TSV"),
        ("\tX\t_\t_\t_\t\n1-2", "\n1-2", BrokenFile, "line 8 is not one of WebAnno TSV"),
        ("2-1\t17-30", "2-1\t14-27", BrokenFile, "line 15 begins before the sentence above"),
        ("TSV 3.3", "TSV 3.1", BrokenFile, r"is WebAnno TSV 3\.1, and 3\.2 and 3\.3"),
        ("|value", "|other", BadAnnotations, "without their value"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, old: str, new: str, error: type[ConsortiumError], said: str
) -> None:
    text = HEAD + BODY
    assert old in text
    with pytest.raises(error, match=said) as caught:
        read(tmp_path, text.replace(old, new, 1))
    assert "fever" not in str(caught.value)


def test_an_entity_may_go_on_into_the_next_sentence(tmp_path: Path) -> None:
    (found,) = read(tmp_path, HEAD + BODY.replace("side\\_effect", "Disease[1]"))
    first, _ = found.annotations
    assert found.text[first.start : first.end] == "yellow fever\n\nlymphoma"


def test_a_sentence_without_tokens_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BrokenFile, match="no token"):
        read(tmp_path, f"{HEAD}#Text=well\n")


def test_other_tables_of_that_ending_are_no_documents(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("fever\tB-Disease\n")
    assert document_files(tmp_path) == []
    assert format_of(tmp_path) is None
