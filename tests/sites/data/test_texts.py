"""Laws of reading texts: unchanged, none lost, mistakes named by row and never quoted."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from privacy.errors import ConsortiumError
from sites.data.source import DataSource, IobFiles, SqlQuery, TableFile, TextFolder
from sites.data.tables import (
    BadTexts,
    BrokenFile,
    EmptyTable,
    MissingFile,
    UnknownFormat,
    read_table,
)
from sites.data.texts import read_texts, require_texts
from sites.data.validation import MissingColumns

NOTES = {
    "a1": ("heart", "Chest pain, “worse” at night — naïve reader: ☃"),
    "a2": ("lung", 'Cough.\nSecond line,\r\nthird; with, commas and "quotes"'),
    "b1": ("heart", "x" * 100_000),
}


def in_every_form(folder: Path) -> dict[str, DataSource]:
    """Write the notes in each form in which a site may keep them."""
    frame = pd.DataFrame(
        [{"person": p, "label": label, "text": text} for p, (label, text) in NOTES.items()]
    )
    frame.to_csv(folder / "n.csv", index=False)
    frame.to_csv(folder / "n.tsv", index=False, sep="\t")
    frame.to_parquet(folder / "n.parquet")
    frame.to_json(folder / "n.jsonl", orient="records", lines=True, force_ascii=False)
    with sqlite3.connect(folder / "n.db") as database:
        frame.to_sql("notes", database, index=False)
    database.close()
    for person, (label, text) in NOTES.items():
        for place in (folder / "by-class" / label, folder / "listed"):
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{person}.txt").write_bytes(text.encode())
    listed = frame.assign(file=frame["person"] + ".txt")[["file", "label"]]
    listed.to_csv(folder / "listed" / "labels.csv", index=False)
    files = {kind: TableFile(path=folder / f"n.{kind}") for kind in ("csv", "tsv", "parquet")}
    return {
        **files,
        "jsonl": TableFile(path=folder / "n.jsonl"),
        "sql": SqlQuery(url=f"sqlite:///{folder}/n.db", query="SELECT * FROM notes"),
        "by class": TextFolder(path=folder / "by-class"),
        "listed": TextFolder(path=folder / "listed"),
    }


def test_the_same_notes_are_read_from_every_kind_of_source(tmp_path: Path) -> None:
    """Unicode, quotes, line ends and 100,000 characters: each text to the last character."""
    for form, source in in_every_form(tmp_path).items():
        frame = read_texts(source)
        require_texts(frame, text="text", label="label", classes=("heart", "lung"))
        found = {row["person"]: (row["label"], row["text"]) for _, row in frame.iterrows()}
        assert found == NOTES, form


def test_sentence_files_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "x.iob").write_text("fever\tB-Finding\n")
    assert read_texts(IobFiles(path=tmp_path))["tags"][1] == ("B-Finding",)
    assert read_texts(IobFiles(path=tmp_path), tagged=False)["tags"][1] == ("O",)


@pytest.mark.parametrize("source", [TextFolder(path=Path("notes")), IobFiles(path=Path("notes"))])
def test_a_source_of_texts_is_not_a_table(source: DataSource) -> None:
    with pytest.raises(UnknownFormat, match="texts, not a table"):
        read_table(source)


def test_a_table_of_labels_may_name_persons_and_sides(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("fever")
    (tmp_path / "labels.csv").write_text("file,label,person,side\none.txt,ill,p7,test\n")
    frame = read_texts(TextFolder(path=tmp_path, split="side"))
    assert frame.loc[2].to_dict() == {
        "file": "one.txt",
        "label": "ill",
        "person": "p7",
        "side": "test",
        "text": "fever",
    }


def test_files_of_one_name_may_be_of_whom_the_table_says(tmp_path: Path) -> None:
    one_name_in_two_directories(tmp_path)
    (tmp_path / "labels.csv").write_text(
        "file,label,person\nflu/note1.txt,a,p1\nasthma/note1.txt,b,p2\n"
    )
    assert read_texts(TextFolder(path=tmp_path))["person"].tolist() == ["p1", "p2"]


def test_a_file_is_found_whatever_form_its_name_has(tmp_path: Path) -> None:
    """Some systems part letters from their accents, and some write endings in capitals."""
    (tmp_path / "cafe\u0301.TXT").write_text("x")
    assert read_texts(TextFolder(path=tmp_path))["text"].tolist() == ["x"]
    (tmp_path / "labels.csv").write_text("file,label\ncaf\u00e9.TXT,a\n", encoding="utf-8")
    assert read_texts(TextFolder(path=tmp_path))["text"].tolist() == ["x"]


def test_files_without_sub_directories_have_no_label(tmp_path: Path) -> None:
    """As for new notes that are to be classified."""
    (tmp_path / "one.txt").write_text("fever")
    assert read_texts(TextFolder(path=tmp_path)).columns.tolist() == ["person", "text"]


def _jsonl(folder: Path, *records: object) -> TableFile:
    path = folder / "n.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return TableFile(path=path)


def test_bad_records_are_named_by_line_and_not_quoted(tmp_path: Path) -> None:
    frame = read_texts(
        _jsonl(
            tmp_path,
            {"text": "good", "label": "a"},
            {"text": "  ", "label": "a"},
            {"text": None, "label": "a"},
            {"text": "secret story", "label": "c"},
        )
    )
    with pytest.raises(BadTexts) as caught:
        require_texts(frame, text="text", label="label", classes=("a", "b"))
    assert "no text in 2 rows: 2, 3" in str(caught.value)
    assert "label is not a declared class in row 4, such as ['c']; declared: a, b" in str(
        caught.value
    )
    assert "secret" not in str(caught.value)
    assert caught.value.counts == {"empty": 2, "unknown": 1}


@pytest.mark.parametrize("cell", ["", " ", "NA", "null", "\u200b", "\ufeff\n", None, 5, ["x"]])
def test_a_text_of_which_nothing_can_be_seen_is_none(cell: object) -> None:
    frame = pd.DataFrame({"text": ["good", cell]}, index=[1, 2], dtype=object)
    with pytest.raises(BadTexts, match="no text in row 2"):
        require_texts(frame, text="text", label=None, classes=())


def test_an_absent_column_is_named(tmp_path: Path) -> None:
    frame = read_texts(_jsonl(tmp_path, {"note": "good", "label": "a"}))
    with pytest.raises(MissingColumns, match=r"lack the columns \['text'\].*'note'"):
        require_texts(frame, text="text", label="label", classes=("a",))
    require_texts(frame, text="note", label=None, classes=())


def test_many_bad_rows_are_counted_and_the_first_shown(tmp_path: Path) -> None:
    frame = read_texts(_jsonl(tmp_path, *[{"text": ""}] * 9))
    with pytest.raises(BadTexts, match=r"9 rows: 1, 2, 3, 4, 5, \.\.\."):
        require_texts(frame, text="text", label=None, classes=())


def folder_without_files(folder: Path) -> TextFolder:
    return TextFolder(path=folder)


def no_folder(folder: Path) -> TextFolder:
    return TextFolder(path=folder / "nowhere")


def wrong_encoding(folder: Path) -> TextFolder:
    (folder / "one.txt").write_bytes("Befund\ncafé".encode("latin-1"))
    return TextFolder(path=folder)


def labels_of_no_file(folder: Path) -> TextFolder:
    (folder / "labels.csv").write_text("file,label\none.txt,a\n")
    return TextFolder(path=folder)


def file_without_label(folder: Path) -> TextFolder:
    (folder / "one.txt").write_text("x")
    (folder / "two.txt").write_text("x")
    (folder / "labels.csv").write_text("file,label\none.txt,a\n")
    return TextFolder(path=folder)


def labels_without_files(folder: Path) -> TextFolder:
    (folder / "labels.csv").write_text("name,label\none.txt,a\n")
    return TextFolder(path=folder)


def one_name_in_two_directories(folder: Path) -> TextFolder:
    for place in ("flu", "asthma"):
        (folder / place).mkdir()
        (folder / place / "note1.txt").write_text("x")
    return TextFolder(path=folder)


def one_listed_name_in_two_directories(folder: Path) -> TextFolder:
    source = one_name_in_two_directories(folder)
    (folder / "labels.csv").write_text("file,label\nflu/note1.txt,a\nasthma/note1.txt,b\n")
    return source


def file_listed_twice(folder: Path) -> TextFolder:
    (folder / "one.txt").write_text("x")
    (folder / "labels.csv").write_text("file,label\none.txt,a\n./one.txt,b\n")
    return TextFolder(path=folder)


def file_elsewhere(folder: Path) -> TextFolder:
    (folder / "secret.txt").write_text("x")
    (folder / "notes").mkdir()
    (folder / "notes" / "labels.csv").write_text("file,label\n../secret.txt,a\n")
    return TextFolder(path=folder / "notes")


def no_text_at_all(folder: Path) -> TextFolder:
    (folder / "one.txt").write_bytes(b"x\n\0")
    return TextFolder(path=folder)


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (one_name_in_two_directories, BrokenFile, r"names \['note1'\].*labels\.csv"),
        (one_listed_name_in_two_directories, BrokenFile, r"names \['note1'\], which cannot say"),
        (file_listed_twice, BrokenFile, "a second time, in row 3"),
        (file_elsewhere, MissingFile, "in row 2"),
        (no_text_at_all, BrokenFile, "not UTF-8 text in line 2"),
        (folder_without_files, EmptyTable, r"no \.txt file"),
        (no_folder, MissingFile, "no directory"),
        (wrong_encoding, BrokenFile, "not UTF-8 text in line 2"),
        (labels_of_no_file, MissingFile, "in row 2"),
        (file_without_label, BrokenFile, r"1 files are in no row .*two\.txt"),
        (labels_without_files, MissingColumns, "no column 'file'"),
    ],
)
def test_each_mistake_of_a_folder_has_its_error(
    tmp_path: Path, make: Callable[[Path], TextFolder], error: type[ConsortiumError], said: str
) -> None:
    with pytest.raises(error, match=said):
        read_texts(make(tmp_path))
