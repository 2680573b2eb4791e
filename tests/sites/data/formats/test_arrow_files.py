"""Parquet files, folders of them, and Feather files are read without changing a value."""

from pathlib import Path

import pandas as pd
import pytest

from consortium.cli.options import parse_data_source
from sites.data.fingerprint import fingerprint_of
from sites.data.formats.arrow_files import read_parquet
from sites.data.source import TableFile, TextFolder
from sites.data.tables import BrokenFile, EmptyTable, read_table

RECORDS = pd.DataFrame({"patient": ["a", "b"], "sex": pd.Categorical(["male", "female"])})


def _folder(tmp_path: Path) -> Path:
    for code, frame in (("007", RECORDS), ("7", RECORDS.iloc[::-1])):
        part = tmp_path / f"ward={code}"
        part.mkdir()
        frame.to_parquet(part / "part-0.parquet")
    (tmp_path / "_delta_log").mkdir()
    RECORDS.head(0).to_parquet(tmp_path / "_delta_log" / "1.parquet")
    return tmp_path


def test_a_folder_is_one_table_and_the_names_of_its_folders_stay_text(tmp_path: Path) -> None:
    frame = read_table(TableFile(path=_folder(tmp_path)))
    assert [*frame["ward"]] == ["007", "007", "7", "7"]
    assert [*frame["patient"]] == ["a", "b", "b", "a"]
    assert [*frame.index] == [1, 2, 3, 4]


def test_categories_that_two_files_keep_in_another_order_keep_their_values(tmp_path: Path) -> None:
    for name, order in (("a", ["male", "female"]), ("b", ["female", "male"])):
        sex = pd.Categorical(["male", "female"], categories=order)
        pd.DataFrame({"patient": [f"{name}1", f"{name}2"], "sex": sex}).to_parquet(
            tmp_path / f"{name}.parquet"
        )
    assert [*read_parquet(tmp_path)["sex"]] == ["male", "female"] * 2


def test_a_file_with_other_columns_is_named(tmp_path: Path) -> None:
    RECORDS.to_parquet(tmp_path / "a.parquet")
    RECORDS.assign(age=3).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(BrokenFile, match=r"b\.parquet and .*a\.parquet .*: age stand"):
        read_table(TableFile(path=tmp_path))


def test_a_folder_without_such_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmptyTable, match=r"no file that ends in \.parquet"):
        read_parquet(tmp_path)


def test_a_column_that_a_file_and_a_folder_both_give_is_refused(tmp_path: Path) -> None:
    part = tmp_path / "sex=male"
    part.mkdir()
    RECORDS.to_parquet(part / "a.parquet")
    with pytest.raises(BrokenFile, match="sex"):
        read_table(TableFile(path=tmp_path))


def test_feather_reads_as_parquet_does(tmp_path: Path) -> None:
    RECORDS.to_feather(tmp_path / "a.feather")
    RECORDS.to_parquet(tmp_path / "a.parquet")
    feather, parquet = (
        read_table(TableFile(path=tmp_path / f"a.{ending}")) for ending in ("feather", "parquet")
    )
    pd.testing.assert_frame_equal(feather, parquet)


def test_a_folder_of_parquet_files_is_a_table_unless_they_are_named_after_sides(
    tmp_path: Path,
) -> None:
    RECORDS.to_parquet(tmp_path / "part-0.parquet")
    assert isinstance(parse_data_source(str(tmp_path)), TableFile)
    RECORDS.to_parquet(tmp_path / "train.parquet")
    assert isinstance(parse_data_source(str(tmp_path)), TextFolder)


def test_the_names_of_folders_count_in_the_fingerprint(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    before = fingerprint_of(TableFile(path=folder))
    (folder / "ward=7").rename(folder / "ward=8")
    assert fingerprint_of(TableFile(path=folder)) != before
