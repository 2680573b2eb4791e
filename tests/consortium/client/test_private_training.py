"""A site that trains privately, asked by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from consortium.client import private_training as private
from consortium.client.site_ledger import ledger_of
from consortium.config import Scalar
from consortium.differential_privacy import DifferentiallyPrivate
from privacy.differential.accounting import calibrated_noise, epsilon
from privacy.differential.budget import BudgetExhausted
from privacy.differential.ledger_entries import Charge
from privacy.differential.mechanisms import Gaussian, HeldOut, SampledGaussian
from privacy.layout import Vector
from privacy.policy.document import Ceiling, PrivacyTerms
from privacy.storage.site_process import SITE_PROCESS
from privacy.wire import flower_records as wire
from privacy.wire import messages
from sites.tasks.tabular.data import TableData
from tests.consortium.private_ward import DP, position, private_ward, trained
from tests.consortium.staged import Ward, ward
from tests.decisions import decide


@pytest.fixture
def at(tmp_path: Path) -> Ward:
    return private_ward(tmp_path)


def charges(at: Ward) -> tuple[Charge, ...]:
    """What the hospital's ledger counts of training."""
    with ledger_of(at.site.directory) as ledger:
        return tuple(one for one in ledger.charges() if one.reserved.part.startswith("training"))


def planned(at: Ward) -> SampledGaussian:
    event = private.training_of(at.config).planned_event(at.site.data)
    assert isinstance(event, SampledGaussian)
    return event


def standing(at: Ward, server_round: int) -> messages.Position:
    """Return what a round is trained from."""
    task = at.site.task
    return messages.read_position(
        position(at, at.vector(server_round), server_round),
        dim=task.layout.dim,
        statistics_size=task.statistics.layout.size,
        bins_size=len(at.first_bins),
    )


def delta(at: Ward) -> float:
    privacy = at.config.privacy
    assert isinstance(privacy, DifferentiallyPrivate)
    return private.delta_of(privacy, at.site.data)


def test_the_whole_run_is_reserved_once_and_its_rounds_draw_on_it(at: Ward) -> None:
    updates = [trained(at, at.vector(seed), seed).update for seed in (1, 2, 3, 4)]
    (charge,) = charges(at)
    assert charge.used == {f"round {number}": 5 for number in (1, 2, 3, 4)}
    assert charge.reserved.event == planned(at)
    assert len({update.tobytes() for update in updates}) == 4


@pytest.mark.parametrize("floor", [0, 10, 1_000])
def test_a_floor_of_local_steps_spends_nothing(floor: int, tmp_path: Path) -> None:
    """What is announced, reserved and counted are the steps of `dp.steps`, as they are taken."""
    at = private_ward(tmp_path, **{"min-local-steps": floor})
    assert planned(at).steps == 4 * 5
    trained(at, at.vector(1))
    (charge,) = charges(at)
    assert charge.used == {"round 1": 5}
    assert charge.reserved.event == planned(at)


def test_the_same_question_gets_the_same_bytes_and_costs_nothing(at: Ward) -> None:
    first, again = (trained(at, at.vector(1)).update for _ in range(2))
    assert first.tobytes() == again.tobytes()
    (charge,) = charges(at)
    assert charge.used == {"round 1": 5}


def test_the_coordinator_cannot_repeat_draws_or_noise(tmp_path: Path) -> None:
    """It knows the seed, the state and, at worst, all records: the difference is noise alone."""
    at = private_ward(tmp_path, 10.0, **{"dp.sampling-rate": 1.0, "num-server-rounds": 1})
    first, other = (trained(at, at.vector(1), run=run).update for run in ("r", "s"))
    assert np.count_nonzero(first - other) == first.size


def test_the_same_round_from_another_state_is_another_run(at: Ward) -> None:
    """A coordinator that starts again pays again, and is refused where that does not fit."""
    trained(at, at.vector(1))
    again = replace(standing(at, 1), state=at.vector(2))
    with pytest.raises(BudgetExhausted):
        private.training_of(at.config).train(at.site, again)


def test_a_round_is_evaluated_from_one_state_only(at: Ward) -> None:
    """Else a coordinator would have the held-out persons judge one model after the other."""
    trained(at, at.vector(1))
    assert at.refusal(messages.TRAIN, position(at, at.vector(2), 1)) == "evaluated-before"


def test_the_figures_of_held_out_persons_are_entered_once_a_round(at: Ward) -> None:
    for number in (1, 2, 2):
        trained(at, at.vector(number), number)
    with ledger_of(at.site.directory) as ledger:
        released = ledger.releases()
    assert [one.part for one in released] == ["evaluation 1", "evaluation 2"]
    assert {one.event for one in released} == {HeldOut(what="evaluation")}


@pytest.mark.parametrize("most", [0, 2])
def test_a_run_is_evaluated_as_often_as_the_policy_says(at: Ward, most: int) -> None:
    """What a run of so many rounds asks for is known before, and refused before."""
    decide(at.site.directory, evaluations_a_run=most)
    assert at.refusal(messages.TRAIN, position(at, at.vector(1), 1)) == "too-many-evaluations"


def test_rounds_that_never_came_are_given_back_when_the_run_is_over(at: Ward) -> None:
    trained(at, at.vector(1))
    for _ in range(2):  # asked again, nothing happens
        at.ask(messages.EVALUATE, position(at, at.vector(2), 2))
    (charge,) = charges(at)
    assert charge.committed == 5
    assert wire.read_refusal(at.ask(messages.TRAIN, position(at, at.vector(2), 2))) is not None


def test_a_run_that_is_over_before_it_began_gives_nothing_back(at: Ward) -> None:
    at.ask(messages.EVALUATE, position(at, at.vector(2), 1))
    assert charges(at) == ()


def test_a_run_that_does_not_fit_is_refused_with_the_numbers_before_any_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = private_ward(tmp_path, budget=1.0, **{"dp.epsilon": 0.0, "dp.noise-multiplier": 0.7})

    def never(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(type(at.site.task), "train", never)
    read = wire.read_refusal(at.ask(messages.TRAIN, position(at, at.vector(1), 1)))
    assert read is not None
    code, counts = read
    assert code == "budget-exhausted"
    assert counts["asked_milli"] > 1_000


def test_noise_is_calibrated_once_for_all_planned_rounds(at: Ward) -> None:
    event = planned(at)
    assert event.steps == 4 * 5
    assert 1.97 <= epsilon([event], delta(at)) <= 2.0
    assert delta(at) <= 1 / (10 * at.site.data.train_persons) < 2 * delta(at)


def test_another_run_is_counted_beside_the_first(at: Ward) -> None:
    trained(at, at.vector(1))
    other = private_ward(at.run.path, budget=100.0, **{"dp.epsilon": 2.5})
    trained(other, other.vector(1), run="s")
    assert len(charges(other)) == 2
    assert {one.reserved.data_set.name for one in charges(other)} == {"records"}


def test_the_coordinator_is_shown_no_statistics(at: Ward) -> None:
    question = messages.question(at.site.charter.fingerprint)
    size = at.site.task.statistics.layout.size
    said = messages.read_counts(at.ask(messages.STATISTICS, question), tally_size=size)
    assert not said.tally.any()
    assert not said.released


def test_a_round_beyond_those_reserved_is_refused(at: Ward) -> None:
    assert at.refusal(messages.TRAIN, position(at, at.vector(1), 5)) == "wrong-round"


def test_a_given_noise_is_taken_as_it_is(tmp_path: Path) -> None:
    at = private_ward(tmp_path, None, **{"dp.epsilon": 0.0, "dp.noise-multiplier": 1.5})
    assert planned(at).noise_multiplier == 1.5
    trained(at, at.vector(1))


def test_records_may_be_the_units(tmp_path: Path) -> None:
    chosen: dict[str, Scalar] = {**DP, "dp.unit": "record", "dp.delta": 1e-7}
    at = ward(tmp_path, "hungary", **chosen)
    event = planned(at)
    assert event.unit == "record"
    assert delta(at) == 1e-7


def test_a_run_in_the_clear_has_nothing_to_plan(tmp_path: Path) -> None:
    at = ward(tmp_path)
    assert private.training_of(at.config).planned_event(at.site.data) is None
    assert private.training_of(at.config).plan(at.site.data) == at.config.training


def test_a_site_without_training_records_sends_noise_as_one_with_a_person_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer would else tell that there is nobody."""
    at = private_ward(tmp_path, **{"dp.delta": 1e-5})
    data = at.site.data
    assert isinstance(data, TableData)
    nobody = data.training.select(np.zeros(data.train_examples, np.bool_))
    monkeypatch.setitem(vars(data), "training", nobody)
    sent = trained(at, at.vector(1))
    assert sent.num_examples == 1
    assert int(np.count_nonzero(sent.update)) == sent.update.size


def test_a_run_by_record_that_version_0_1_0_began_goes_on_with_what_it_reserved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reserved with a cap on a person's records, which costs a single record the same."""
    at = private_ward(tmp_path, budget=3.0, **{"dp.unit": "record"})
    ceilings = {"*": Ceiling(epsilon=3.0, delta=1e-4)}
    terms = PrivacyTerms(required=True, unit="record", ceilings=ceilings)
    decide(at.site.directory, privacy=terms)
    with monkeypatch.context() as earlier:
        earlier.setattr(DifferentiallyPrivate, "cap", property(lambda _self: 16))
        reserved = planned(at)
        trained(at, at.vector(1), 1)
    trained(at, at.vector(2), 2)
    at.ask(messages.EVALUATE, position(at, at.vector(3), 3))
    (charge,) = charges(at)
    assert charge.reserved.event == reserved
    assert reserved.max_records_per_person == 16
    assert charge.used == {"round 1": 5, "round 2": 5}
    assert charge.committed == 10


COUNTS: dict[str, Scalar] = {
    "learner": "describe",
    "dp.unit": "person",
    "dp.epsilon": 2.0,
    "dp.delta": 1e-4,
    "dp.max-records-per-person": 1,
    "num-server-rounds": 1,
}


def counting_ward(folder: Path, budget: float) -> Ward:
    """A hospital that counts with noise, with so much epsilon left."""
    at = ward(folder, "hungary", **COUNTS)
    ceilings = {"*": Ceiling(epsilon=budget, delta=1e-4)}
    decide(at.site.directory, privacy=PrivacyTerms(required=True, ceilings=ceilings))
    return at


def test_counts_with_noise_are_one_event_and_the_same_question_gets_the_same_bytes(
    tmp_path: Path,
) -> None:
    at = counting_ward(tmp_path, budget=3.0)
    first, again = (counted_once(at) for _ in range(2))
    assert first.summed.tobytes() == again.summed.tobytes()
    assert (first.summed < 0).any()  # noise, of bins that nobody is in
    (charge,) = charges(at)
    assert charge.used == {"round 1": 1}
    event = charge.reserved.event
    assert isinstance(event, Gaussian)
    assert (event.count, event.sensitivity, event.unit) == (1, 1.0, "person")
    assert epsilon([event], 1e-4) == pytest.approx(2.0, rel=0.01)


@pytest.mark.parametrize("learner", ["trees", "scorecard"])
def test_all_exchanges_of_a_run_are_one_event_whose_noise_was_planned_for_all(
    tmp_path: Path, learner: str
) -> None:
    """However often one is asked again, or another process answers it."""
    several: dict[str, Scalar] = {"learner": learner, "num-server-rounds": 3, "dp.delta": 1e-4}
    at = ward(tmp_path, "hungary", **{**COUNTS, **several})
    for number in (1, 2, 2, 3, 3):
        at.ask(messages.TRAIN, position(at, zero(at), number))
        SITE_PROCESS.clear()
    (charge,) = charges(at)
    assert charge.used == {f"round {number}": 1 for number in (1, 2, 3)}
    event = charge.reserved.event
    assert isinstance(event, Gaussian)
    assert (event.count, event.sensitivity, event.unit) == (3, 1.0, "person")
    assert epsilon([event], 1e-4) == pytest.approx(2.0, rel=0.01)
    alone = calibrated_noise(sampling_rate=1.0, steps=1, epsilon=2.0, delta=1e-4)
    assert event.noise_multiplier == pytest.approx(alone * 3**0.5, rel=0.02)


def test_counts_that_do_not_fit_the_budget_are_refused_before_counting(tmp_path: Path) -> None:
    at = counting_ward(tmp_path, budget=2.5)
    counted_once(at)
    refused = at.ask(messages.TRAIN, position(at, zero(at), 1, "another"))
    assert (wire.read_refusal(refused) or ("",))[0] == "budget-exhausted"
    assert len(charges(at)) == 1


def zero(at: Ward) -> Vector:
    return np.zeros(at.site.task.layout.dim)


def counted_once(at: Ward) -> messages.Contribution:
    """Return what the hospital sends, of so few records of a bin that noise shows."""
    task = at.site.task
    return messages.read_contribution(
        at.ask(messages.TRAIN, position(at, zero(at), 1)),
        dim=0,
        tally_size=task.evaluation.layout.size,
        summed_size=task.layout.dim // 2,
        max_examples=10**9,
    )
