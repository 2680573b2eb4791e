"""Groups of a run, from the config to the page, in the clear and encrypted."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from consortium.model.card import model_card
from consortium.model.files import read_model
from consortium.report.elements.run_reader import Recorded
from consortium.report.site_text import read_outcome
from consortium.run.directory import RunDirectory
from scenarios.cli.main import app
from sites.evaluation.groups.subgroups import SMALLEST_GROUP, GroupedEvaluation, shown_groups


def ran(folder: Path, *settings: str) -> RunDirectory:
    command = ["run", "heart-diagnosis", "--out", str(folder), "--set", "num-server-rounds=2"]
    for setting in ("subgroups=sex,chest_pain", *settings):
        command += ["--set", setting]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    return RunDirectory(folder)


@pytest.mark.parametrize("settings", [(), ("aggregation=encrypted",)], ids=["clear", "encrypted"])
def test_the_groups_of_a_run_are_those_of_the_pooled_records(
    tmp_path: Path, settings: tuple[str, ...]
) -> None:
    run = ran(tmp_path / "run", *settings)
    recorded = Recorded.read(run)
    evaluation, tally = recorded.grouped_evaluation, recorded.evaluation_by_group
    assert isinstance(evaluation, GroupedEvaluation)
    assert tally is not None
    evaluation.check(tally)
    held = {
        group.name: evaluation.base.num_examples(evaluation.of_group(group, tally))
        for group in evaluation.groups
    }
    total = evaluation.num_examples(tally)
    assert recorded.summary.held_out == total
    if settings:  # in the clear, sites send zeros for their small groups
        assert held["sex=female"] + held["sex=male"] == total
    else:
        assert 0 < held["sex=female"] + held["sex=male"] <= total
    shown = shown_groups(evaluation, tally, fewest=SMALLEST_GROUP)
    page = run.report.read_text()
    assert "Does it work alike for all groups?" in page
    outcome = read_outcome(run)
    card = model_card(read_model(run.model).subject, outcome)
    for group in evaluation.groups:
        assert (f"| {group.name} |" in card) == (group in shown)
    pooled = recorded.pooled_evaluation
    assert pooled is not None
    assert pooled.tolist() == evaluation.of_all(tally).tolist()


def test_a_column_without_groups_is_refused_before_anything_runs(tmp_path: Path) -> None:
    command = ["run", "heart-diagnosis", "--out", str(tmp_path / "run"), "--set", "subgroups=age"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 2
    assert "which is no category" in done.output
    assert not (tmp_path / "run").exists()
