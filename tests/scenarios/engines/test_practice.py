from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from scenarios.data.datasets import load_dataset
from scenarios.engines.dealt_records import NoRecords
from scenarios.engines.staging import write_practice_files
from scenarios.library.registry import scenario_named
from sites.schema.tables import Schema

HEART = scenario_named("heart-diagnosis")


def test_every_hospital_gets_its_own_records_and_none_is_lost(tmp_path: Path) -> None:
    schema, *files = write_practice_files(HEART, tmp_path / "practice")
    assert Schema.model_validate_json(schema.read_text()) == HEART.table
    assert [path.stem for path in files] == list(HEART.sites)
    read = [pd.read_csv(path) for path in files]
    assert all(set(HEART.table.columns) <= set(frame.columns) for frame in read)
    assert HEART.dataset is not None
    assert sum(len(frame) for frame in read) == len(load_dataset(HEART.dataset))


def test_a_scenario_without_records_has_nothing_to_practise_with(tmp_path: Path) -> None:
    with pytest.raises(NoRecords):
        write_practice_files(replace(HEART, dataset=None), tmp_path)
