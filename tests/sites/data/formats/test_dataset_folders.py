"""Laws of data sets of Hugging Face `datasets`: what it writes is read, with the names of classes.

All files are written by the package itself.
"""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value, disable_progress_bars

from consortium.cli.options import parse_data_source
from scenarios.user_data.corpus import read_corpus
from sites.data.annotations import BadSentences, read_annotated_sentences
from sites.data.source import TableFile, TextFolder
from sites.data.tables import BrokenFile, EmptyTable, read_table
from sites.schema.texts import EntitySchema
from sites.text.iob2_tags import tag_names

disable_progress_bars()
NAMES = ["O", "B-Disease", "I-Disease"]
SENTENCES = Dataset.from_dict(
    {
        "id": ["a", "a", "b", "c"],
        "tokens": [["A", "cold"], ["😀", "fever"], ["yellow", "fever"], ["well"]],
        "ner_tags": [[0, 1], [0, 1], [1, 2], [0]],
    },
    Features(
        id=Value("string"), tokens=List(Value("string")), ner_tags=List(ClassLabel(names=NAMES))
    ),
)
TEXTS = Dataset.from_dict(
    {"note": ["a cold", "well", "a fever"], "kind": [1, 0, -1], "age": [70, None, 34]},
    Features(
        note=Value("large_string"), kind=ClassLabel(names=["well", "ill"]), age=Value("int32")
    ),
)
SCHEMA = EntitySchema(name="notes", types=("Disease",))
WORDS = ("column:tags=ner_tags", "column:document=id")


def tags(path: Path) -> list[list[str]]:
    found = read_annotated_sentences(parse_data_source(str(path), WORDS), SCHEMA)
    names = tag_names(SCHEMA.types)
    return [[names[code] for code in codes] for codes in found.tags]


@pytest.mark.parametrize("shards", [1, 2])
def test_saved_sentences_have_the_names_of_their_tags(tmp_path: Path, shards: int) -> None:
    SENTENCES.save_to_disk(tmp_path / "saved", num_shards=shards)
    expected = [[NAMES[code] for code in codes] for codes in SENTENCES["ner_tags"]]
    assert tags(tmp_path / "saved") == expected
    SENTENCES.to_parquet(tmp_path / "a.parquet")
    assert tags(tmp_path / "a.parquet") == expected
    assert tags(next((tmp_path / "saved").glob("*-00000-of-*.arrow"))) == expected[: 4 // shards]


def test_a_class_is_its_name_and_an_unknown_one_is_missing(tmp_path: Path) -> None:
    TEXTS.save_to_disk(tmp_path / "saved")
    frame = read_table(parse_data_source(str(tmp_path / "saved")))
    assert [*frame.index] == [1, 2, 3]
    assert [*frame["note"]] == TEXTS["note"][:]
    assert [*frame["kind"]] == ["ill", "well", None]
    assert frame["age"].tolist()[::2] == [70, 34]
    assert pd.isna(frame["age"][2])
    kept = read_table(
        parse_data_source(str(tmp_path / "saved"), ["column:label=kind", "codes:label"])
    )
    assert [*kept["kind"]] == [1, 0, -1]


def test_parts_are_sides_and_dev_is_left_out_of_a_split(tmp_path: Path) -> None:
    parts = {"train": SENTENCES.select([0, 1]), "validation": SENTENCES.select([3])}
    DatasetDict(parts, test=SENTENCES.select([2])).save_to_disk(tmp_path / "saved")
    source = parse_data_source(str(tmp_path / "saved"), WORDS)
    assert [*read_table(source)["split"]] == ["train", "train", "dev", "test"]
    corpus = read_corpus(source, SCHEMA)
    assert corpus.split == "split"
    assert [*corpus.records["split"]] == ["train", "train", "test"]
    by_side = source.model_copy(update={"split": "split"})
    found = read_annotated_sentences(by_side, SCHEMA)
    assert found.sides is not None
    assert found.sides.tolist() == ["train", "train", "test"]
    # A part is a data set, too.
    assert [*read_table(parse_data_source(str(tmp_path / "saved" / "test")))["id"]] == ["b"]


def test_files_as_the_hub_names_them_keep_their_sides(tmp_path: Path) -> None:
    for number in range(2):
        part = SENTENCES.shard(2, number, contiguous=True)
        part.to_parquet(tmp_path / f"train-0000{number}-of-00002.parquet")
    SENTENCES.select([3]).to_parquet(tmp_path / "test-00000-of-00001.parquet")
    frame = read_table(parse_data_source(str(tmp_path)))
    assert [*frame["split"]] == ["test", *["train"] * 4]
    assert [*frame["id"]] == ["c", "a", "a", "b", "c"]
    (tmp_path / "train-00001-of-00002.parquet").unlink()
    with pytest.raises(BrokenFile, match=r"holds 1 files of train, and their names say .* 2"):
        read_table(parse_data_source(str(tmp_path)))


def test_arrow_files_without_notes_are_one_table_unless_named_after_sides(tmp_path: Path) -> None:
    SENTENCES.save_to_disk(tmp_path / "saved")
    (saved,) = (tmp_path / "saved").glob("*.arrow")
    folder = tmp_path / "plain"
    folder.mkdir()
    for name in ("a", "b"):
        shutil.copy(saved, folder / f"{name}.arrow")
    assert len(read_table(parse_data_source(str(folder)))) == 8
    assert tags(folder / "a.arrow")[0] == ["O", "B-Disease"]
    (folder / "a.arrow").rename(folder / "train.arrow")
    assert isinstance(parse_data_source(str(folder)), TextFolder)


def test_a_tag_that_is_not_known_is_refused_with_its_row(tmp_path: Path) -> None:
    broken = SENTENCES.select([0, 1]).to_dict() | {"ner_tags": [[0, 1], [0, -1]]}
    Dataset.from_dict(broken, SENTENCES.features).save_to_disk(tmp_path / "saved")
    with pytest.raises(BadSentences, match="row 2"):
        tags(tmp_path / "saved")


def test_a_number_without_a_name_is_refused_with_its_row(tmp_path: Path) -> None:
    """As where a note was edited, or two data sets were mixed."""
    SENTENCES.save_to_disk(tmp_path / "saved")
    note = tmp_path / "saved" / "dataset_info.json"
    said = json.loads(note.read_text())
    said["features"]["ner_tags"]["feature"]["names"].pop()
    note.write_text(json.dumps(said))
    with pytest.raises(BrokenFile, match=r"ner_tags .* none of its 2 classes in row 3"):
        read_table(TableFile(path=tmp_path / "saved"))


@pytest.mark.parametrize(
    ("note", "content", "said"),
    [
        ("state.json", {"_data_files": [{"filename": "other.arrow"}]}, "which is not there"),
        ("state.json", {"_data_files": [{"filename": "../x.arrow"}]}, "which is not there"),
        ("state.json", {"_data_files": [], "_indices_data_files": [{}]}, "before version 1.3"),
        ("state.json", [], "has no list _data_files"),
        ("dataset_dict.json", {"splits": ["all"]}, "a part 'all', which is none of train"),
    ],
)
def test_a_note_that_does_not_fit_is_refused(
    tmp_path: Path, note: str, content: object, said: str
) -> None:
    folder = tmp_path / "saved"
    SENTENCES.save_to_disk(folder)
    SENTENCES.save_to_disk(folder / "all")
    (tmp_path / "x.arrow").write_bytes(b"")
    (folder / note).write_text(json.dumps(content))
    with pytest.raises(BrokenFile, match=said):
        read_table(TableFile(path=folder))


def test_a_cut_file_and_one_of_no_records_are_refused(tmp_path: Path) -> None:
    TEXTS.select([]).save_to_disk(tmp_path / "empty")
    with pytest.raises(EmptyTable):
        read_table(TableFile(path=tmp_path / "empty"))
    TEXTS.save_to_disk(tmp_path / "saved")
    (file,) = (tmp_path / "saved").glob("*.arrow")
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(BrokenFile, match=r"cannot be read as"):
        read_table(TableFile(path=tmp_path / "saved"))


def test_a_column_called_split_beside_sides_is_refused(tmp_path: Path) -> None:
    part = TEXTS.add_column("split", ["x"] * 3)
    DatasetDict(train=part).save_to_disk(tmp_path / "saved")
    with pytest.raises(BrokenFile, match="split"):
        read_table(TableFile(path=tmp_path / "saved"))
