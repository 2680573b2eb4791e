"""A class that hardly anybody has: its AUC has a bound that is worth reading, in either mode."""

from pathlib import Path

import pytest
from flwr.app import RecordDict

from consortium.config import Scalar
from consortium.report.elements.run_reader import Recorded
from consortium.report.render import render_report
from privacy.layout import Tally
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from sites.evaluation.contract import bins_after, evaluation_for, in_bins
from sites.evaluation.score_bins import ScoreBins, first_bins
from tests.benchmarks.rare_events import lenders, read_bounds
from tests.small_consortium import TABLE, Consortium, Passing, altered
from tests.tampering import absent

ROWS = 20_000


@pytest.mark.parametrize("aggregation", ["clear", "encrypted"])
def test_one_default_in_two_hundred_has_an_auc_that_is_right_to_a_thousandth(
    tmp_path: Path, aggregation: str
) -> None:
    scenario = lenders(0.005, ROWS)
    config = scenario.config_with(
        {"aggregation": aggregation, "num-server-rounds": 6, "batch-size": 64}
    )
    run = new_run_directory(scenario, under=tmp_path, named=None)

    summary = run_scenario(ScenarioRun(scenario=scenario, config=config), run)

    assert summary.quarantined == []
    assert summary.metrics["roc_auc"].value > 0.7
    assert summary.metrics["roc_auc"].error_bound <= 1e-3
    # An encrypted run does not evaluate the model before training.
    assert len(read_bounds(run).bounds) == (7 if aggregation == "clear" else 6)
    assert Recorded.read(run).score_bins.follow
    render_report(run)


def test_bins_of_equal_width_are_not_enough(tmp_path: Path) -> None:
    scenario = lenders(0.005, ROWS)
    chosen: dict[str, Scalar] = {
        "num-server-rounds": 2,
        "batch-size": 64,
        "score-bins": "equal",
    }
    run = new_run_directory(scenario, under=tmp_path, named=None)

    summary = run_scenario(ScenarioRun(scenario=scenario, config=scenario.config_with(chosen)), run)

    assert summary.metrics["roc_auc"].error_bound > 0.01


def test_sites_of_an_encrypted_run_count_by_the_bins_that_follow_from_what_was_opened(
    tmp_path: Path,
) -> None:
    """Nobody sends them bins; the coordinator finds the same from what the sites release."""
    consortium = Consortium.placed(tmp_path / "run")
    course = consortium.start(photographed=tmp_path / "photos", score_bins="following")
    evaluation = evaluation_for(TABLE)

    bins = first_bins()
    for finished in course.rounds:
        number = finished.server_round
        assert finished.score_bins == bins.encoded
        if number <= 3:
            for name in ("east", "west"):
                moment = course.moments[name, "train", number]
                place = moment.again(tmp_path / f"{name}-{number}")
                standing = place.session(moment.request).standing(moment.request)
                assert standing.state.score_bins == bins.encoded
        counted = in_bins(evaluation, bins)
        counted.check(finished.evaluation)
        assert (counted.num_examples(finished.evaluation) > 0) == (number > 1)
        bins = ScoreBins(next_bins(bins.encoded, finished.evaluation))
    assert len(course.rounds) == 4
    assert bins != first_bins()


def test_who_is_not_shown_the_counts_is_noticed_and_moves_nobodys_bins(tmp_path: Path) -> None:
    """The coordinator hides the sum from one site, whose edges would then stay where they were."""

    def hidden_from_west(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind, passing.number) != ("west", "train", 3):
            return passing.content
        return altered(passing.content, count_sum=b"", count_receipts=b"")

    consortium = Consortium.placed(tmp_path / "run")
    course = consortium.start(down=hidden_from_west, score_bins="following", num_server_rounds=4)

    assert (3, "west", "state-disputed") in course.quarantined
    first, second, third = course.rounds[:3]
    assert third.score_bins == next_bins(second.score_bins, second.evaluation)
    assert first.score_bins != third.score_bins


def test_a_round_without_counts_keeps_the_bins(tmp_path: Path) -> None:
    """One site is away, so nobody opens the counts of the round."""
    consortium = Consortium.placed(tmp_path / "run")
    course = consortium.start(
        down=absent("west", "train", 2), score_bins="following", num_server_rounds=4
    )

    assert course.error is None
    first, second, third, fourth, _ = course.rounds
    assert not second.evaluation.any()
    assert second.score_bins == next_bins(first.score_bins, first.evaluation)
    assert third.score_bins == second.score_bins
    assert fourth.score_bins == next_bins(third.score_bins, third.evaluation)


def next_bins(bins: bytes, tally: Tally) -> bytes:
    """Return the bins that follow from a pooled tally, as a site computes them."""
    return bins_after(in_bins(evaluation_for(TABLE), ScoreBins(bins)), tally).encoded
