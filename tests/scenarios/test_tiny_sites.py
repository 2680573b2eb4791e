"""Sites that hold nobody out, or train on nobody, are in every sum, and nothing crashes."""

import html
import re
from pathlib import Path

import pytest

from consortium.report.render import render_report
from consortium.site.directory import SiteDirectory
from scenarios.data.datasets import load_dataset
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.experiments.comparison import compare
from scenarios.library.registry import scenario_named
from scenarios.sweep.cli.compare import _print_comparison
from sites.data.source import TableFile

HEART = scenario_named("heart-diagnosis")
SIDES = {"cleveland": "train", "hungary": "test"}


def sided(folder: Path, name: str, side: str) -> TableFile:
    """Return two records of a site as a file, both on one side."""
    frame = load_dataset(str(HEART.dataset))
    assert HEART.site_of_row is not None
    own = frame[HEART.site_of_row(frame) == name].head(2).assign(side=side)
    path = folder / f"{name}.csv"
    own.to_csv(path, index=False)
    return TableFile(path=path, split="side")


@pytest.mark.parametrize("aggregation", ["clear", "encrypted"])
def test_a_site_without_training_or_held_out_persons_is_in_every_sum(
    aggregation: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = HEART.config_with({"aggregation": aggregation, "num-server-rounds": 2})
    run = new_run_directory(HEART, under=tmp_path, named=None)
    own = {name: sided(tmp_path, name, side) for name, side in SIDES.items()}
    order = ScenarioRun(scenario=HEART, config=config, own_data=own)
    summary = run_scenario(order, run)
    assert summary.status == "finished"
    assert summary.evaluated == [*HEART.sites]
    assert not summary.quarantined
    assert {site.name: site.answered for site in summary.sites} == dict.fromkeys(HEART.sites, 3)
    for name, says in (("cleveland", "nobody is held out"), ("hungary", "nobody is trained on")):
        assert says in SiteDirectory(run.site(name)).log.read_text()
    compared = compare(HEART, config, run, tell=print, n_resamples=20)
    (cleveland,) = (arm for arm in compared.arms if arm.site == "cleveland")
    assert cleveland.own_value is None
    assert compared.untrained == ["hungary"]
    assert not [arm for arm in compared.arms if arm.site == "hungary"]
    assert compared.nobody_held_out == ["cleveland"]
    page = html.unescape(render_report(run).read_text())
    assert "hungary" in page
    assert "None at cleveland: nobody is held out there." in page
    _print_comparison(compared)
    told = capsys.readouterr().out
    assert re.search(r"at cleveland +none +nobody is held out there", told)
    assert re.search(r"hungary alone +none +nobody to train on", told)
