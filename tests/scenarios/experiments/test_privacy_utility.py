"""What privacy costs, measured on a small consortium."""

import io
import shutil
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from rich.console import Console

from consortium.model.files import read_model
from consortium.report.render import render_report
from consortium.run.directory import RunDirectory
from consortium.run.privacy_records import PrivacyCost
from consortium.run.records import read_record, write_record
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.experiments import privacy_utility
from scenarios.experiments.audit_receipts import write_run_receipt
from scenarios.experiments.privacy_output import print_privacy_cost, print_privacy_utility
from scenarios.experiments.privacy_utility import measure_privacy
from scenarios.library.registry import SCENARIOS
from scenarios.scenario import Scenario
from scenarios.trials import Campaign, PrivacyTrials

TRIALS = PrivacyTrials(
    epsilons=(8.0, 1.0),
    repeats=2,
    without={"dp.unit": "off", "dp.epsilon": 0.0},
    campaign=Campaign(epsilon=1.0, runs=3, ceilings={"": 1.3, "hungary": 0.9}, delta=1e-4),
)
SCENARIO: Scenario = replace(
    SCENARIOS["heart-diagnosis"],
    run_config={
        "model": "logistic",
        "num-server-rounds": 2,
        "learning-rate": 0.5,
        "dp.unit": "person",
        "dp.epsilon": 1.0,
        "dp.steps": 3,
        "dp.sampling-rate": 0.3,
        "dp.delta": 1e-4,
    },
    privacy=TRIALS,
)


class Measured(NamedTuple):
    """A finished private run, what privacy costs there, and the models of the trials."""

    run: RunDirectory
    cost: PrivacyCost
    told: str
    models: dict[float, list[bytes]]  # by the epsilon of the trial, 0.0 without privacy


@pytest.fixture(scope="module")
def measured_run(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    run = RunDirectory(tmp_path_factory.mktemp("run"))
    config = SCENARIO.config_with({})
    run_scenario(ScenarioRun(scenario=SCENARIO, config=config), run)
    told: list[str] = []
    models: dict[float, list[bytes]] = defaultdict(list)

    def run_and_keep_model(planned: ScenarioRun, trial: RunDirectory) -> None:
        run_scenario(planned, trial)
        epsilon = float(planned.config.flat()["dp.epsilon"])
        models[epsilon].append(read_model(trial.model).vector.tobytes())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(privacy_utility, "run_scenario", run_and_keep_model)
        measure_privacy(SCENARIO, TRIALS, config, run, tell=told.append, workers=0)
    return Measured(run, read_record(run.privacy, PrivacyCost), "\n".join(told), models)


def test_each_epsilon_has_the_requested_number_of_runs_on_the_same_records(
    measured_run: Measured,
) -> None:
    _, cost, told, models = measured_run
    assert [(point.epsilon, len(point.values)) for point in cost.points] == [
        (None, 1),
        (8.0, 2),
        (1.0, 2),
    ]
    for point in cost.points:
        assert point.low <= point.value <= point.high
        assert min(point.values) <= point.value <= max(point.values)
    eight, one = cost.points[1:]
    # Two runs may end in the same AUC by chance, in the same model they may not.
    assert len(set(models[8.0])) == 2
    assert min(one.noise_multiplier) > max(eight.noise_multiplier)
    assert cost.points[0].noise_multiplier == ()
    assert "without privacy" in told
    assert "epsilon 8" in told


def test_an_exhausted_ledger_refuses_and_the_numbers_are_recorded(
    measured_run: Measured,
) -> None:
    _, cost, told, _ = measured_run
    first, second = cost.campaign
    assert [line.site for line in first.sites if line.refused] == ["hungary"]
    assert first.finished
    assert not second.finished
    assert second.value is None
    late = [line for line in second.sites if line.site != "hungary"]
    assert {line.refused for line in late} == {"budget-exhausted"}
    for line in late:
        assert line.asked is not None
        assert line.left is not None
        assert line.asked > line.left
        assert line.spent <= line.allowed
    assert "refused by hungary" in told


def test_every_run_has_a_receipt_at_the_coordinator(measured_run: Measured) -> None:
    """All logs of a run are complete and agree, whether it finished or was refused."""
    run, cost, _, _ = measured_run
    assert [line.page for line in cost.receipts] == [
        "coordinator/receipt.html",
        "coordinator/receipts/campaign-1.html",
        "coordinator/receipts/campaign-2.html",
    ]
    for line in cost.receipts:
        assert line.logs == 1 + len(SCENARIO.sites)
        assert line.differences == ()
        assert "hungary" in (run.path / line.page).read_text()
    assert "budget-exhausted" in (run.path / cost.receipts[2].page).read_text()


def test_a_contradiction_between_two_logs_is_reported(
    measured_run: Measured, tmp_path: Path
) -> None:
    run = RunDirectory(tmp_path / "run")
    shutil.copytree(measured_run.run.path, run.path)
    log = run.site("hungary") / "audit" / "log.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    ends = [at for at, line in enumerate(lines, start=1) if b'"signature"' in line]
    log.write_bytes(b"".join(lines[: ends[-2]]))
    line = write_run_receipt(run, "a cut run", home=run)
    assert any("hungary" in one for one in line.differences)
    written = io.StringIO()
    print_privacy_cost(
        Console(file=written, width=200), measured_run.cost.model_copy(update={"receipts": (line,)})
    )
    assert "receipt of a cut run" in written.getvalue()
    assert "verified" not in written.getvalue()


def test_the_directories_of_single_runs_are_removed(measured_run: Measured) -> None:
    assert not (measured_run.run.path / "trials").exists()


def test_the_report_shows_the_curve_and_the_refusals(measured_run: Measured) -> None:
    run = measured_run.run
    page = render_report(run).read_text()
    assert "What can the model reveal about one person?" in page
    assert "epsilon 1 over all rounds" in page
    assert " left" in page
    assert (run.path / "plots" / "privacy.svg").exists()
    aside = run.path / "aside.json"
    run.privacy.rename(aside)
    assert "What can the model reveal about one person?" in render_report(run).read_text()
    aside.rename(run.privacy)


def test_the_costs_of_privacy_are_printed(measured_run: Measured) -> None:
    written = io.StringIO()
    print_privacy_cost(Console(file=written, width=200), measured_run.cost)
    assert "what privacy costs" in written.getvalue()
    assert "refused: epsilon" in written.getvalue()
    assert written.getvalue().count("entries: verified") == 3


def test_a_scenario_that_is_not_about_privacy_is_not_measured(tmp_path: Path) -> None:
    plain = replace(SCENARIO, privacy=None)
    run = RunDirectory(tmp_path)
    assert print_privacy_utility(plain, plain.config_with({}), run, Console()) is None


def test_a_point_from_one_run_is_described_as_such(measured_run: Measured, tmp_path: Path) -> None:
    """It is not called a mean of 1 runs."""
    run, cost, _, _ = measured_run
    once = tuple(point.model_copy(update={"values": point.values[:1]}) for point in cost.points)
    copy = RunDirectory(shutil.copytree(run.path, tmp_path / "once"))
    write_record(copy.privacy, cost.model_copy(update={"points": once}))
    assert "Each point is one run" in render_report(copy).read_text()
    assert "mean of 2 runs" in render_report(run).read_text()
