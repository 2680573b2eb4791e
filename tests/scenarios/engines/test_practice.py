from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from scenarios.data.datasets import load
from scenarios.engines.staging import NoRecords, write_practice
from scenarios.library.registry import scenario_named
from sites.schema.tables import Schema

HEART = scenario_named("heart-diagnosis")


def test_every_hospital_gets_its_own_records_and_all_of_them_are_given(tmp_path: Path) -> None:
    schema, *files = write_practice(HEART, tmp_path / "practice")
    assert Schema.model_validate_json(schema.read_text()) == HEART.table
    assert [path.stem for path in files] == list(HEART.sites)
    read = [pd.read_csv(path) for path in files]
    assert all(set(HEART.table.columns) <= set(frame.columns) for frame in read)
    assert HEART.dataset is not None
    assert sum(len(frame) for frame in read) == len(load(HEART.dataset))


def test_a_scenario_without_records_has_nothing_to_practise_with(tmp_path: Path) -> None:
    with pytest.raises(NoRecords):
        write_practice(replace(HEART, dataset=None), tmp_path)
