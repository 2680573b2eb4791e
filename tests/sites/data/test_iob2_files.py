"""Laws of reading sentences: nothing is lost, and mistakes are named by their line."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sites.data.iob2_files import (
    BLOCK,
    DOCUMENT_MARK,
    BrokenIob,
    UnknownSide,
    read_iob,
    sentence_source,
)
from sites.data.source import IobFiles, TableFile, TextFolder
from sites.data.tables import BrokenFile, EmptyTable, MissingFile, UnknownFormat, UnreadableSource
from sites.text.iob2_tags import Span, tags_of
from tests.sites.text.test_iob2_tags import sentences

# Whatever a token may hold: nothing that parts fields or lines.
words = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\t\n\r \ufeff"), min_size=1
).filter(lambda word: word.strip() and word != DOCUMENT_MARK)
sentence_lists = st.lists(sentences().filter(lambda s: s[1] > 0), min_size=1, max_size=4)


@given(sentence_lists, st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_sentences_that_were_written_are_read_back(
    tmp_path: Path, made: list[tuple[list[Span], int]], data: st.DataObject
) -> None:
    """Any Unicode tokens and any entities come back unchanged, in order."""
    written = []
    for spans, n_words in made:
        tokens = tuple(data.draw(st.lists(words, min_size=n_words, max_size=n_words)))
        written.append((tokens, tags_of(spans, n_words)))
    path = tmp_path / "notes.tsv"
    lines = ["".join(f"{w}\t{t}\n" for w, t in zip(*pair, strict=True)) for pair in written]
    path.write_text("\n".join(lines), encoding="utf-8", newline="")
    frame = read_iob(IobFiles(path=path))
    assert list(zip(frame["tokens"], frame["tags"], strict=True)) == written


def write(folder: Path, **files: str) -> IobFiles:
    for name, text in files.items():
        (folder / f"{name}.iob").write_text(text, newline="")
    return IobFiles(path=folder)


CASE = "fever\tB-Finding\n\nno\tO\ncough\tB-Finding\n"


def test_a_file_of_a_directory_is_a_document(tmp_path: Path) -> None:
    frame = read_iob(write(tmp_path, anna=CASE, berta=CASE))
    assert frame["person"].tolist() == ["anna", "anna", "berta", "berta"]
    assert frame["place"].tolist()[1] == "anna.iob line 3"


def test_docstart_lines_separate_documents(tmp_path: Path) -> None:
    """Also if a document's sentences follow the line without an empty line between."""
    text = f"-DOCSTART- -X- O O\n\n{CASE}-DOCSTART-\tO\nx\tO\n"
    frame = read_iob(write(tmp_path, train=text))
    assert frame["person"].tolist() == ["train#1", "train#1", "train#2"]


def test_columns_between_token_and_tag_are_ignored(tmp_path: Path) -> None:
    frame = read_iob(write(tmp_path, one="EU NNP I-NP B-ORG\nrejects VBZ I-VP O\n"))
    assert frame["tokens"][1] == ("EU", "rejects")
    assert frame["tags"][1] == ("B-ORG", "O")


def test_a_corpus_without_documents_is_read_in_blocks(tmp_path: Path) -> None:
    frame = read_iob(write(tmp_path, only="x\tO\n\n" * (BLOCK + 1)))
    assert frame["person"].tolist() == ["only/block-1"] * BLOCK + ["only/block-2"]


def test_file_names_give_the_side_if_the_source_says_so(tmp_path: Path) -> None:
    source = write(tmp_path, train=CASE, devel=CASE, test=CASE)
    frame = read_iob(source.model_copy(update={"split": "file"}))
    assert frame.groupby("split")["person"].first().to_dict() == {
        "dev": "devel/block-1",
        "test": "test/block-1",
        "train": "train/block-1",
    }
    write(tmp_path, more=CASE)
    with pytest.raises(UnknownSide, match=r"more\.iob"):
        read_iob(source.model_copy(update={"split": "file"}))


def test_tokens_without_tags_are_read_if_none_are_needed(tmp_path: Path) -> None:
    frame = read_iob(write(tmp_path, new="fever\nand\ncough\n"), tagged=False)
    assert frame["tokens"][1] == ("fever", "and", "cough")
    assert frame["tags"][1] == ("O", "O", "O")


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("a\tO\nb\tI-X\n", BrokenIob, r"line 2 \(I after O\)"),
        ("a\tO\n\nb\tB-X\nc\tI-Y\n", BrokenIob, r"line 4 \(I after another type\)"),
        ("a\tO\n\nb\tfever\n", BrokenIob, r"line 3 \(not a tag"),
        ("a\tI-X\n\n" * 7, BrokenIob, r"7 sentences: line 1 .*, \.\.\.;"),
        ("a\tO\nb\n", BrokenFile, "line 2 has no tag"),
        ("a b O\nb O\n", BrokenFile, "line 2 has 2 fields, and the lines before it have 3"),
        ("a\tO\n\nb\tx\tO\n", BrokenFile, "line 3 has 3 fields, and the lines before it have 2"),
        ("\n1 a O\n2 b O\n\n1 c O\n", BrokenFile, "number of the word, from line 2 on"),
        ("0 a O\n1 b O\n", BrokenFile, "number of the word"),
        ("1 a O\n\n2 b O\n3 c O\n", BrokenFile, "number of the word"),
        ("1 a O\n\n1 b O\n", BrokenFile, "number of the word"),
        ("1-2 du O\n1 de O\n2 le O\n2.1 x O\n", BrokenFile, "number of the word"),
        ("a\tO\nb\tO\rc\tO\n", BrokenFile, "line 2 holds a carriage return"),
        ("a\0\tO\n", BrokenFile, "line 1 holds .* NUL"),
        ("\n\n", EmptyTable, "holds no sentence"),
    ],
)
def test_each_mistake_is_named_with_its_line(
    tmp_path: Path, text: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        read_iob(write(tmp_path, one=text))


def test_numbers_are_words_where_no_other_field_is_the_word(tmp_path: Path) -> None:
    """Or where they do not count the words of every sentence."""
    frame = read_iob(write(tmp_path, one="1\tO\n2\tO\n", two="1 CD O\n2 CD O\n\nx NN O\n"))
    assert frame["tokens"].tolist() == [("1", "2"), ("1", "2"), ("x",)]


def test_numbered_words_are_refused_also_where_no_tags_are_needed(tmp_path: Path) -> None:
    with pytest.raises(BrokenFile, match="number of the word") as caught:
        read_iob(write(tmp_path, new="1\tno\n2\tfever\n"), tagged=False)
    assert caught.value.counts == {"sentences": 1}
    assert "fever" not in str(caught.value)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    """A document is named after its file, without the ending."""
    write(tmp_path, anna=CASE)
    (tmp_path / "anna.txt").write_text(CASE)
    with pytest.raises(BrokenFile, match=r"called \['anna'\], with other endings"):
        read_iob(IobFiles(path=tmp_path))


def test_the_error_counts_sentences_and_quotes_none(tmp_path: Path) -> None:
    """Only the number of sentences may leave a site, and the message holds no token."""
    with pytest.raises(BrokenIob) as caught:
        read_iob(write(tmp_path, one="secretword\tI-X\n\n" * 3))
    assert caught.value.counts == {"sentences": 3}
    assert "secretword" not in str(caught.value)


def test_sources_with_the_right_endings_become_sentence_files(tmp_path: Path) -> None:
    """A corpus of train and test keeps its sides; a table stays a table."""
    write(tmp_path, train=CASE, test=CASE)
    assert sentence_source(TextFolder(path=tmp_path)) == IobFiles(path=tmp_path, split="file")
    write(tmp_path, anna=CASE)
    assert sentence_source(TextFolder(path=tmp_path)) == IobFiles(path=tmp_path)
    file = TableFile(path=tmp_path / "anna.iob")
    assert sentence_source(file) == IobFiles(path=file.path)
    table = TableFile(path=tmp_path / "a.jsonl")
    assert sentence_source(table) is table


def test_each_unreadable_source_has_its_error(tmp_path: Path) -> None:
    with pytest.raises(MissingFile):
        read_iob(IobFiles(path=tmp_path / "nowhere"))
    with pytest.raises(UnknownFormat):
        read_iob(IobFiles(path=tmp_path))
    (tmp_path / "latin.iob").write_bytes("a\tO\n\ncaf\xe9\tO\n".encode("latin-1"))
    with pytest.raises(UnreadableSource, match="UTF-8 text in line 3"):
        read_iob(IobFiles(path=tmp_path))
