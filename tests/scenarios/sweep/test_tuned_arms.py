"""Each way of training tuned for itself, by no record that is held out."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from consortium.client.site_ledger import ledger_of
from consortium.config import Scalar
from consortium.report.render import render_report
from consortium.run.directory import RunDirectory
from consortium.run.records import Comparison
from consortium.site.person_sides import scenario_side_key
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory, stage, staged_part
from scenarios.experiments.comparison import compare
from scenarios.sweep.budget import SweepTooDear
from scenarios.sweep.cli.compare import _begun_search, _print_comparison
from scenarios.sweep.order import SweepOrder
from scenarios.sweep.places import Place, tune_places
from scenarios.sweep.records import POOLED, AloneRecord, SiteTuned, SweepDirectory
from scenarios.sweep.tuned_arms import FEDERATED, TunedArms, tune_arms
from sites.data.holdout import KeyedSides, PersonRecords
from sites.data.source import DataSource, TableFile
from tests.scenarios.sweep.test_budget import HEART as PRIVATE
from tests.scenarios.sweep.test_sweep import HEART, order_of

FEW: Mapping[str, Scalar] = {"num-server-rounds": 2}


def tuned(folder: Path, order: SweepOrder | None = None) -> TunedArms:
    asked = order or order_of("learning-rate=log(1e-3,1)", trials=2, chosen=FEW)
    return tune_arms(asked, SweepDirectory(folder), tell=lambda _line: None, workers=0)


@pytest.fixture(scope="module")
def arms(tmp_path_factory: pytest.TempPathFactory) -> TunedArms:
    return tuned(tmp_path_factory.mktemp("arms") / "search")


def test_what_is_held_out_has_no_say_in_what_is_chosen(arms: TunedArms, tmp_path: Path) -> None:
    """With every held-out label turned round, all trials have the same figures."""
    staged = RunDirectory(tmp_path / "staged")
    staged.path.mkdir()
    seed = int(HEART.config_with({}).seed)
    stage(staged, HEART)
    given: dict[str, DataSource] = {}
    turned = 0
    for name in HEART.sites:
        frame = pd.read_parquet(staged_part(staged.site(name)))
        held = _held_out(frame["patient"].astype(str).to_numpy(), scenario_side_key(seed, name))
        other = frame["disease"].map({"yes": "no", "no": "yes"})
        path = tmp_path / f"{name}.parquet"
        frame.assign(disease=frame["disease"].where(~held, other)).to_parquet(path, index=False)
        given[name], turned = TableFile(path=path), turned + int(held.sum())
    assert turned > 100
    order = replace(arms.order, own_data=given)
    again = tuned(tmp_path / "search", order)
    assert again.shared.trials == arms.shared.trials
    assert again.places == arms.places
    # And had they been judged by them, they would not.
    by_held_out = replace(order, within_training=False)
    place = Place(order=by_held_out, run=staged, name="hungary", sites=("hungary",))
    assert tune_places([place], 0)[0] != next(one for one in arms.places if one.site == "hungary")


def _held_out(persons: np.ndarray, key: bytes) -> np.ndarray:
    records = PersonRecords(
        persons=persons, places=np.arange(len(persons)), strata=np.zeros(len(persons), np.int64)
    )
    return KeyedSides(key).held_out(records)


def test_comparison_report_and_terminal_say_what_each_chose(
    arms: TunedArms, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each model is that of its own values; a site without a figure has those of the run."""
    config = arms.config_of(FEDERATED)
    run = new_run_directory(HEART, under=tmp_path, named=None)
    order = ScenarioRun(scenario=HEART, config=config, on_staged=arms.on_staged)
    run_scenario(order, run)
    nothing = replace(arms, places=tuple(map(_otherwise, arms.places)))
    found = _compared(run, nothing)
    assert found.search == nothing.record
    chosen = {one.site or one.kind: one.chosen for one in found.arms}
    assert set(chosen) == {FEDERATED, POOLED, *HEART.sites}
    assert chosen["switzerland"] is not None
    assert chosen["switzerland"].failed == "one class"
    assert nothing.config_of("switzerland") == arms.order.config
    _print_comparison(found)
    said, page = capsys.readouterr().out, render_report(run).read_text()
    for name, one in chosen.items():
        assert one is not None
        if name != "switzerland":
            assert nothing.config_of(name).flat()["learning-rate"] == one.settings["learning-rate"]
            assert one.words in said
            assert one.words in page
    assert "the held-out records had no say" in " ".join(said.split())
    # Untuned, the model of all records in one place is another one.
    pooled = [
        one.value
        for compared in (found, compare(HEART, config, run, tell=print, n_resamples=5))
        for one in compared.arms
        if one.kind == POOLED
    ]
    assert pooled[0] != pooled[1]


def _otherwise(one: SiteTuned) -> SiteTuned:
    """Return that one site found nothing, and that the pooled records found something unusual."""
    if one.site == "switzerland":
        return one.model_copy(update={"trials": (), "winner": 0, "failed": "one class"})
    if one.site == POOLED:
        trials = [
            trial.model_copy(update={"settings": {"learning-rate": 0.9}}) for trial in one.trials
        ]
        return one.model_copy(update={"trials": tuple(trials)})
    return one


def _compared(run: RunDirectory, arms: TunedArms) -> Comparison:
    config = arms.config_of(FEDERATED)
    return compare(HEART, config, run, tell=lambda _line: None, n_resamples=5, tuned=arms)


def test_the_search_is_kept_and_told_again(arms: TunedArms, tmp_path: Path) -> None:
    first = tuned(tmp_path / "search")
    record = AloneRecord.model_validate_json((tmp_path / "search" / "alone.json").read_bytes())
    assert (record.sites, first.places) == (arms.places, arms.places)
    assert tuned(tmp_path / "search").shared == arms.shared


def test_a_search_that_was_interrupted_is_gone_on_with_and_a_run_is_not(tmp_path: Path) -> None:
    assert _begun_search(None) is None
    assert _begun_search(tmp_path) is None
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "plan.json").write_text("{}")
    found = _begun_search(tmp_path)
    assert found is not None
    assert found.path == tmp_path
    found.charter.write_text("{}")  # of the run that followed
    assert _begun_search(tmp_path) is None


def _private_order(epsilon: float) -> SweepOrder:
    chosen = {"dp.epsilon": epsilon}
    order = order_of("learning-rate=log(0.1,1)", trials=4)
    return replace(
        order,
        name=PRIVATE.name,
        scenario=PRIVATE,
        config=PRIVATE.config_with(chosen),
        chosen=chosen,
    )


def test_a_private_search_and_its_run_are_reserved_as_one_event(tmp_path: Path) -> None:
    """Nobody on whom trials were judged is trained on in the run, which has the same noise."""
    found = tuned(tmp_path / "search", _private_order(1.0))
    paid = SweepDirectory(tmp_path / "search").paid
    config = found.config_of(FEDERATED)
    for price in found.shared.prices:
        assert 0.9 < price.epsilon <= 1.0
        with ledger_of(paid.site(price.site)) as ledger:
            (event,) = ledger.events()
        # Of the run of two rounds, besides the trials'.
        assert getattr(event, "steps", 0) == 3 * (8 + 2)
        assert getattr(event, "noise_multiplier", 0) == config.flat()["dp.noise-multiplier"]
    assert found.record.validation_left_out
    assert found.record.epsilons.keys() == set(PRIVATE.sites)
    assert {found.config_of(name).flat()["dp.noise-multiplier"] for name in PRIVATE.sites} == {
        config.flat()["dp.noise-multiplier"]
    }


def test_a_search_that_fits_only_without_its_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SweepTooDear, match="hungary refuses"):
        tuned(tmp_path / "search", _private_order(1.5))
    assert not (tmp_path / "search" / "trials").exists()
