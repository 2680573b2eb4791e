"""Records that are dealt once: the files of a run are those of one that was staged alone."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pandas as pd

from consortium.run.directory import RunDirectory
from scenarios.attacks.assignment import AttackAssignment
from scenarios.data.datasets import load_dataset
from scenarios.engines.dealt_records import KeptDeal
from scenarios.engines.staging import stage, staged_part
from scenarios.library.registry import scenario_named
from scenarios.scenario import Scenario

HEART = scenario_named("heart-diagnosis")
READS: Counter[str] = Counter()


def counted_records() -> pd.DataFrame:
    READS["heart"] += 1
    return load_dataset("heart-disease")


COUNTED = replace(HEART, records=counted_records)


def files(
    folder: Path, scenario: Scenario = COUNTED, lies: AttackAssignment | None = None
) -> list[bytes]:
    run = RunDirectory(folder)
    run.path.mkdir()
    if lies:
        stage(run, scenario, lies=lies)
    else:
        stage(run, scenario)
    return [staged_part(run.site(name)).read_bytes() for name in scenario.sites]


def test_the_files_are_those_of_a_run_that_was_staged_alone(tmp_path: Path) -> None:
    alone = files(tmp_path / "alone")
    READS.clear()
    kept = KeptDeal()
    with kept.in_use():
        first, again = files(tmp_path / "1"), files(tmp_path / "2")
    assert first == again == alone
    assert READS == {"heart": 1}
    files(tmp_path / "outside")
    assert READS == {"heart": 2}
    kept.clear()
    with kept.in_use():
        files(tmp_path / "3")
    assert READS == {"heart": 3}


def test_another_scenario_has_its_own_records(tmp_path: Path) -> None:
    fewer = replace(COUNTED, records=lambda: counted_records().head(300))
    with KeptDeal().in_use():
        assert files(tmp_path / "1") != files(tmp_path / "2", fewer)


def test_who_poisons_records_poisons_them_there_too(tmp_path: Path) -> None:
    lies = AttackAssignment(attacks={"cleveland": "label-flip"}, seed=3)
    alone = files(tmp_path / "alone", lies=lies)
    with KeptDeal().in_use():
        honest = files(tmp_path / "1")
        assert files(tmp_path / "2", lies=lies) == alone
        assert files(tmp_path / "3") == honest
    assert [mine == theirs for mine, theirs in zip(alone, honest, strict=True)].count(False) == 1
