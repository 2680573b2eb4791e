"""Tables that are read once: what is returned is what reading would give."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from scenarios.data.datasets import load_dataset
from scenarios.library.registry import scenario_named
from sites.data.holdout import KEY_BYTES, KeyedSides, Mask, PersonRecords
from sites.data.source import TableFile
from sites.tasks.tabular.data import TableData
from sites.tasks.tabular.kept_tables import KeptTables
from sites.tasks.tabular.loading import load_table

HEART = scenario_named("heart-diagnosis")
SIDES, OTHER_SIDES = KeyedSides(b"k" * KEY_BYTES), KeyedSides(b"j" * KEY_BYTES)


@pytest.fixture
def source(tmp_path: Path) -> TableFile:
    path = tmp_path / "here" / "data.parquet"
    path.parent.mkdir()
    load_dataset(str(HEART.dataset)).head(200).to_parquet(path, index=False)
    return TableFile(path=path)


def loaded(source: TableFile, sides: KeyedSides = SIDES) -> TableData:
    return load_table(source, HEART.columns, n_classes=2, sides=sides)


def same(one: TableData, other: TableData) -> bool:
    return all(
        np.array_equal(mine.persons, theirs.persons)
        and np.array_equal(mine.labels, theirs.labels)
        and all(
            np.array_equal(mine.columns[name], theirs.columns[name], equal_nan=True)
            for name in theirs.columns
        )
        for mine, theirs in ((one.training, other.training), (one.held_out, other.held_out))
    )


def test_a_copy_of_a_file_is_the_same_table(source: TableFile, tmp_path: Path) -> None:
    copied = source.model_copy(update={"path": tmp_path / "copied.parquet"})
    shutil.copy(source.path, copied.path)
    kept = KeptTables()
    with kept.in_use():
        first = loaded(source)
        assert loaded(copied) is first
        other = loaded(copied, OTHER_SIDES)
    assert not same(other, first)
    assert same(first, loaded(source))
    assert same(other, loaded(source, OTHER_SIDES))
    assert loaded(source) is not first  # outside, nothing is kept


def test_a_file_that_changed_or_is_read_otherwise_is_another_table(source: TableFile) -> None:
    with KeptTables().in_use():
        before = loaded(source)
        frame = load_dataset(str(HEART.dataset)).iloc[100:250]
        frame.to_parquet(source.path, index=False)
        after = loaded(source)
        half = frame.assign(part=np.where(np.arange(len(frame)) % 2, "test", "train"))
        half["patient"] = np.arange(len(half)).astype(str)
        half.to_parquet(source.path, index=False)
        by_column = loaded(source.model_copy(update={"split": "part"}))
        by_rule = loaded(source)
    assert (before.train_examples + before.held_out_examples) == 200
    assert (after.train_examples + after.held_out_examples) == 150
    assert by_column.held_out_examples == len(half) // 2
    assert not same(by_column, by_rule)


def test_each_site_is_asked_for_its_sides_every_time(source: TableFile) -> None:
    """A site remembers where it said that each person stands, whoever read the file before."""
    asked = []

    class Remembering(KeyedSides):
        def held_out(self, records: PersonRecords) -> Mask:
            asked.append(len(records.persons))
            return super().held_out(records)

    kept = KeptTables()
    with kept.in_use():
        first = loaded(source, Remembering(SIDES.key))
        assert loaded(source, Remembering(SIDES.key)) is first
    assert asked == [200, 200]
    kept.clear()
    with kept.in_use():
        assert loaded(source) is not first


def test_what_is_derived_of_a_table_is_derived_once_for_the_same_key(source: TableFile) -> None:
    table = loaded(source).training
    made = iter(range(9))
    found = [table.once("it", key, lambda: next(made)) for key in (b"a", b"a", b"b", b"a")]
    assert found == [0, 0, 1, 2]
    assert table.once("other", b"a", lambda: next(made)) == 3
    assert table.once("it", b"a", lambda: next(made)) == 2
