"""Laws of annotated sentences: equal from every source, with mistakes named by their place."""

import json
from pathlib import Path

import pandas as pd
import pytest

from privacy.errors import ConsortiumError
from sites.data.annotations import (
    AnnotatedSentences,
    BadSentences,
    read_annotated_sentences,
    read_unannotated_sentences,
)
from sites.data.source import DataSource, IobFiles, TableFile
from sites.data.tables import BadTexts
from sites.data.validation import MissingColumns
from sites.schema.texts import EntitySchema

SCHEMA = EntitySchema(name="notes", person="document", types=("Disease", "Drug"))
SENTENCES = (
    ("p1", ("No", "fever", "."), ("O", "B-Disease", "O"), "train"),
    ("p2", ("Hodgkin's", "lymphoma"), ("B-Disease", "I-Disease"), "test"),
)


def frame(**columns: object) -> pd.DataFrame:
    rows = [
        {"document": person, "tokens": list(tokens), "tags": list(tags), "side": side, **columns}
        for person, tokens, tags, side in SENTENCES
    ]
    return pd.DataFrame(rows)


def told(found: AnnotatedSentences) -> list[tuple[str, tuple[str, ...], list[int]]]:
    codes = [tags.tolist() for tags in found.tags]
    return list(zip(found.persons.tolist(), found.tokens, codes, strict=True))


def test_lists_json_lists_and_iob2_files_give_the_same_sentences(tmp_path: Path) -> None:
    frame().to_parquet(tmp_path / "a.parquet")
    frame().to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    texts = frame()
    for column in ("tokens", "tags"):
        texts[column] = texts[column].map(json.dumps)
    texts.to_csv(tmp_path / "a.csv", index=False)
    (tmp_path / "iob").mkdir()
    for person, tokens, tags, _ in SENTENCES:
        lines = [f"{token}\t{tag}\n" for token, tag in zip(tokens, tags, strict=True)]
        (tmp_path / "iob" / f"{person}.iob").write_text("".join(lines))
    kinds = ("parquet", "jsonl", "csv")
    sources: list[DataSource] = [TableFile(path=tmp_path / f"a.{kind}") for kind in kinds]
    expected = [("p1", SENTENCES[0][1], [0, 1, 0]), ("p2", SENTENCES[1][1], [1, 2])]
    for source in (*sources, IobFiles(path=tmp_path / "iob")):
        assert told(read_annotated_sentences(source, SCHEMA)) == expected
    assert read_annotated_sentences(sources[0], SCHEMA).sides is None


def test_sides_equal_those_of_the_source(tmp_path: Path) -> None:
    frame().to_parquet(tmp_path / "a.parquet")
    found = read_annotated_sentences(TableFile(path=tmp_path / "a.parquet", split="side"), SCHEMA)
    assert found.sides is not None
    assert found.sides.tolist() == ["train", "test"]
    (tmp_path / "train.iob").write_text("x\tO\n")
    found = read_annotated_sentences(IobFiles(path=tmp_path / "train.iob", split="file"), SCHEMA)
    assert found.sides is not None
    assert found.sides.tolist() == ["train"]
    assert found.persons.tolist() == ["train/block-1"]


def jsonl(folder: Path, *records: object) -> TableFile:
    path = folder / "n.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return TableFile(path=path)


def record(tokens: object, tags: object) -> dict[str, object]:
    return {"document": "d", "tokens": tokens, "tags": tags}


@pytest.mark.parametrize(
    ("tokens", "tags", "said"),
    [
        ([], [], "no tokens in 1: row 2"),
        ("not json", ["O"], "no tokens"),
        (None, None, "no tokens"),
        (["a", "b"], ["O"], "other than one tag per token"),
        (["a", "b"], ["O", "I-Drug"], r"not IOB2 \(I after O\)"),
        (["a"], ["B-Gene"], "undeclared B-Gene"),
        ("[" * 100_000, ["O"], "no tokens"),
        *(([one], ["O"], "a token that is empty or not text") for one in ("", None, True, ["a"])),
        # Nested and discontinuous entities have no place in IOB2.
        (["a", "b"], ["B-Drug|B-Disease", "I-Drug"], "not IOB2"),
        (["a"], ["B-Drug|B-Disease"], r"undeclared B-Drug\|B-Disease"),
        (["a", "b"], ["DB-Drug", "O"], "not IOB2"),
        ('["a\\ud83d"]', ["O"], "half a character in 1: row 2"),
    ],
)
def test_each_mistake_is_named_with_its_row(
    tmp_path: Path, tokens: object, tags: object, said: str
) -> None:
    source = jsonl(tmp_path, record(["fine"], ["O"]), record(tokens, tags))
    with pytest.raises(BadSentences, match=said) as caught:
        read_annotated_sentences(source, SCHEMA)
    assert caught.value.counts == {"sentences": 1}


def test_no_sentence_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(BadSentences) as caught:
        read_annotated_sentences(jsonl(tmp_path, *[record(["secret"], ["I-Drug"])] * 9), SCHEMA)
    assert "secret" not in str(caught.value)
    assert "in 9: row 1, row 2, row 3, row 4, row 5, ..." in str(caught.value)


@pytest.mark.parametrize("column", ["document", "tokens", "tags"])
def test_an_absent_column_is_named(tmp_path: Path, column: str) -> None:
    held = {name: value for name, value in record(["a"], ["O"]).items() if name != column}
    with pytest.raises(MissingColumns, match=column):
        read_annotated_sentences(jsonl(tmp_path, held), SCHEMA)


def test_an_absent_split_column_is_named(tmp_path: Path) -> None:
    source = jsonl(tmp_path, record(["a"], ["O"])).model_copy(update={"split": "side"})
    with pytest.raises(ConsortiumError, match="side"):
        read_annotated_sentences(source, SCHEMA)


def test_sentences_to_predict_need_no_tags(tmp_path: Path) -> None:
    assert read_unannotated_sentences(jsonl(tmp_path, {"text": "No fever."}), SCHEMA) == [
        ("No", "fever", ".")
    ]
    assert read_unannotated_sentences(jsonl(tmp_path, {"tokens": ["No"]}), SCHEMA) == [("No",)]
    (tmp_path / "x.iob").write_text("No\nfever\n")
    assert read_unannotated_sentences(IobFiles(path=tmp_path / "x.iob"), SCHEMA) == [
        ("No", "fever")
    ]
    with pytest.raises(MissingColumns, match="tokens"):
        read_unannotated_sentences(jsonl(tmp_path, {"note": "No fever."}), SCHEMA)


@pytest.mark.parametrize(
    "bad", [{"tokens": '["a\\ud83d"]'}, {"tokens": "no list"}, {"text": " "}, {"text": None}]
)
def test_a_sentence_to_predict_that_cannot_be_read_is_named_by_its_row(
    tmp_path: Path, bad: dict[str, object]
) -> None:
    good = {name: ["fever"] if name == "tokens" else "fever" for name in bad}
    with pytest.raises((BadSentences, BadTexts), match="row 2"):
        read_unannotated_sentences(jsonl(tmp_path, good, bad), SCHEMA)
