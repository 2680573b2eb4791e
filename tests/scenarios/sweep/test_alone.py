"""Each site's own model, tuned for itself."""

from pathlib import Path

import pytest

from consortium.config import Scalar
from scenarios.sweep.alone import tune_alone
from scenarios.sweep.order import NotTunable
from scenarios.sweep.records import AloneRecord, SweepDirectory
from scenarios.user_data.scenario_file import named_scenario_with_data
from tests.scenarios.sweep.test_sweep import HEART, order_of


def tuned(folder: Path, workers: int = 0) -> AloneRecord:
    return tune_alone(order_of(), SweepDirectory(folder), tell=print, workers=workers)


def test_each_site_tunes_for_itself_and_nothing_is_run(tmp_path: Path) -> None:
    """Twice the same; its files are the plan, what came of it, and one run config a site."""
    record = tuned(tmp_path / "alone")
    assert tuned(tmp_path / "alone") == record
    found = {one.site: one for one in record.sites}
    assert set(found) == set(HEART.sites)
    best = {name: one for name, one in found.items() if one.best is not None}
    assert len(best) >= 3
    left = {path.name for path in (tmp_path / "alone").rglob("*")}
    assert left == {"plan.json", "alone.json", *(f"{name}.toml" for name in best)}
    for name, one in best.items():
        assert one.best is not None
        scenario = named_scenario_with_data(str(tmp_path / "alone" / f"{name}.toml")).scenario
        settings = scenario.config_with({}).flat()
        assert {key: settings[key] for key in one.best.settings} == one.best.settings


def test_private_runs_are_not_tuned_alone(tmp_path: Path) -> None:
    private: dict[str, Scalar] = {"dp.unit": "person", "dp.epsilon": 1.0}
    order = order_of(chosen={**private, "weighting": "equal"})
    with pytest.raises(NotTunable, match=r"dp\.unit=off"):
        tune_alone(order, SweepDirectory(tmp_path / "alone"), tell=print, workers=0)
