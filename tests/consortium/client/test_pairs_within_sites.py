"""Each site seals how its own records are ordered; what is opened is the AUC within sites."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from consortium.model.files import read_model
from consortium.protocol.round_counts import FEWEST_SITES_FOR_PAIRS
from privacy.layout import Tally
from sites.evaluation.contract import evaluation_for, in_bins, pair_counts
from sites.evaluation.pairs import PairCounts
from sites.evaluation.score_bins import ScoreBins
from tests.decisions import decide
from tests.small_consortium import NAMES, TABLE, Consortium, Course, forget_processes

FOLLOWING: Mapping[str, str] = {"score_bins": "following", "scale_rule": "following"}


def placed(folder: Path, names: Sequence[str] = NAMES) -> Consortium:
    forget_processes()
    return Consortium.placed(folder, names)


def run_of(consortium: Consortium, **changed: Any) -> Course:
    course = consortium.start(**{**FOLLOWING, "num_server_rounds": 1, **changed})
    assert course.error is None, course.error
    return course


def own_tallies(consortium: Consortium, bins: bytes) -> list[Tally]:
    """Return what each site counts of the final model, as it would in the clear."""
    model = read_model(consortium.run.site("east") / "model")
    sites = [consortium.place(name, **FOLLOWING).site for name in consortium.charter.names]
    return [
        one.task.evaluate(one.data, model.statistics, model.vector, ScoreBins(bins))
        for one in sites
    ]


def test_what_is_opened_is_what_follows_in_the_clear_and_from_the_scores(tmp_path: Path) -> None:
    consortium = placed(tmp_path)
    course = run_of(consortium)
    start, last = course.rounds
    assert start.pairs is not None
    assert last.pairs is not None
    assert not start.pairs.any()  # nobody evaluates it
    found = PairCounts.from_entries(last.pairs)

    evaluation = in_bins(evaluation_for(TABLE), ScoreBins(last.score_bins))
    tallies = own_tallies(consortium, last.score_bins)
    assert np.array_equal(np.sum(tallies, axis=0), last.evaluation)
    assert found == sum((pair_counts(evaluation, one) for one in tallies), PairCounts())

    model = read_model(consortium.run.site("east") / "model")
    each, weights = [], []
    for name in NAMES:
        site = consortium.place(name, **FOLLOWING).site
        scores, labels = site.task.score(site.data, model.statistics, model.vector)
        each.append(roc_auc_score(labels, scores))
        weights.append(int((labels == 1).sum() * (labels == 0).sum()))
    assert found.total == sum(weights)
    of_scores = np.average(each, weights=weights)
    assert abs(found.auc.value - of_scores) <= found.auc.error_bound + 1e-12


def test_among_three_sites_zeros_are_sealed_in_their_place(tmp_path: Path) -> None:
    """Who takes its own part off the sum of three would have the product for two others."""
    course = run_of(placed(tmp_path, NAMES[: FEWEST_SITES_FOR_PAIRS - 1]))
    last = course.rounds[-1]
    assert last.evaluation.any()
    assert last.pairs is not None
    assert not last.pairs.any()


def test_where_too_few_persons_are_evaluated_no_pairs_leave(tmp_path: Path) -> None:
    consortium = placed(tmp_path)
    for name in NAMES:
        decide(consortium.run.site(name), releases={"minimum_count": 10**6})
    course = run_of(consortium)
    assert not any(one.evaluation.any() for one in course.rounds)
    assert not any(one.pairs.any() for one in course.rounds if one.pairs is not None)


def test_a_run_with_bins_as_in_version_0_1_0_counts_none(tmp_path: Path) -> None:
    course = run_of(placed(tmp_path), score_bins="equal")
    assert course.rounds[-1].evaluation.any()
    assert [one.pairs for one in course.rounds] == [None] * 2
