"""No count of one site follows from several runs, whoever takes part in which."""

import json
from collections.abc import Mapping
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import RecordDict

from consortium.charter.document import Floors
from consortium.site.policy_templates import strict
from privacy.layout import Tally, Vector
from privacy.protocol.envelope import TRAINING
from privacy.secrets.roster_memory import RosterMemory
from sites.tasks.tabular.task import TabularTask
from tests.carrier import away, released_tallies, staged
from tests.decisions import decide
from tests.opened_sums import OpenedSum, opened_sums
from tests.small_consortium import (
    NAMES,
    Consortium,
    Course,
    Hook,
    Passing,
    Place,
    as_it_is,
    forget_processes,
    read_round,
    records,
    refusal,
)
from tests.tampering import absent, own_levels

ROWS = 200
ONE_ROUND: Mapping[str, Any] = {"num_server_rounds": 1, "quorum": 3}
PRIVATE: Mapping[str, Any] = {
    **ONE_ROUND,
    "dp.unit": "person",
    "dp.epsilon": 0.5,
    "dp.delta": 1e-6,
    "dp.steps": 1,
}


def strict_consortium(folder: Path, *, noise_required: bool) -> Consortium:
    """Four sites with the policy that a new member starts with."""
    forget_processes()
    floors = Floors(full_class_examples=100, encrypted=True)
    consortium = Consortium.placed(folder / "run", floors=floors)
    for name in NAMES:
        directory = consortium.run.site(name)
        records(name, ROWS).to_parquet(directory / "data.parquet", index=False)
        strict(consortium.charter).write(directory)
        decide(directory, privacy={"required": noise_required})
    return consortium


def with_and_without_west(
    consortium: Consortium, config: Mapping[str, Any]
) -> tuple[Course, Course]:
    """Run with all four sites, then with three of them from another seed; nobody lies."""
    everyone = consortium.start(**config)
    staged(so=bool(released_tallies(everyone)), what="the run of all four released nothing")
    forget_processes()
    three = consortium.start(down=away("west"), seed=8, **config)
    staged(so=three.error is None, what="three sites did not run")
    return everyone, three


def differences(everyone: Course, three: Course) -> list[Tally]:
    """Return what the coordinator can subtract."""
    return [one - other for one in released_tallies(everyone) for other in released_tallies(three)]


def test_nobody_evaluates_the_start_of_an_encrypted_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody can compute S(0), so its counts would be the same in every run of a charter."""
    judged: list[bool] = []
    evaluate = TabularTask.evaluate

    def noted(task: TabularTask, data: Any, pooled: Tally, vector: Vector, bins: Any) -> Tally:
        judged.append(bool(vector.any()))
        return evaluate(task, data, pooled, vector, bins)

    monkeypatch.setattr(TabularTask, "evaluate", noted)
    forget_processes()
    consortium = Consortium.placed(tmp_path / "run")
    course = consortium.start(num_server_rounds=2)
    assert judged == [True] * (2 * len(NAMES))
    assert [bool(one.evaluation.any()) for one in course.rounds] == [False, True, True]


def secret_tally(west: Place) -> Tally:
    """Return what west counts of the model of zeros: of S(0), where nothing was told before."""
    task = west.site.task
    zeros = np.zeros(task.statistics.layout.size, np.int64)
    return task.evaluate(west.site.data, zeros, np.zeros(task.layout.dim))


def test_the_class_totals_of_a_site_that_was_away_once_stay_its_own(tmp_path: Path) -> None:
    consortium = strict_consortium(tmp_path, noise_required=False)
    runs = with_and_without_west(consortium, ONE_ROUND)
    west = consortium.place("west", **ONE_ROUND)
    evaluation = west.site.task.evaluation
    own = evaluation.class_counts(secret_tally(west))
    assert own not in [evaluation.class_counts(one) for one in differences(*runs)]


def test_the_histogram_of_a_site_that_was_away_once_stays_its_own_where_noise_is_demanded(
    tmp_path: Path,
) -> None:
    """S(0) is known to everybody then, and so is what the site was asked."""
    consortium = strict_consortium(tmp_path, noise_required=True)
    runs = with_and_without_west(consortium, PRIVATE)
    own = secret_tally(consortium.place("west", **PRIVATE))
    assert not any(np.array_equal(one, own) for one in differences(*runs))


def test_no_member_reads_another_members_statistics_from_the_models_of_two_runs(
    tmp_path: Path,
) -> None:
    """East is honest and curious; so is the coordinator."""
    consortium = strict_consortium(tmp_path, noise_required=False)
    told = []
    for seed, hook in enumerate((as_it_is, away("west"))):
        forget_processes()
        staged(
            so=consortium.start(down=hook, seed=seed, **ONE_ROUND).error is None,
            what="a run did not come to its end",
        )
        model = consortium.run.site("east") / "model" / "model.json"
        told.append(np.array(json.loads(model.read_text())["statistics"]))
    west = consortium.place("west", **ONE_ROUND).site
    assert not np.array_equal(told[0] - told[1], west.task.statistics_of(west.data))


class Watched:
    """Runs of which somebody sees all that is opened; beside it, what west alone sent."""

    def __init__(self, folder: Path) -> None:
        forget_processes()
        self.consortium = Consortium.placed(folder / "run")
        self.opened: list[OpenedSum] = []
        self.own: list[Vector] = []

    def run(self, hook: Hook = as_it_is, **overrides: Any) -> Course:
        """Run as processes that start now, with a quorum of three."""
        forget_processes()
        config = {"num_server_rounds": 2, "quorum": 3, **overrides}
        asked: dict[int, Passing] = {}

        def down(passing: Passing) -> RecordDict:
            asked[passing.number] = passing
            return hook(passing)

        def up(passing: Passing) -> RecordDict:
            if (passing.site, passing.kind) == ("west", "train") and not refusal(passing.content):
                request = read_round(asked[passing.number].content)
                session = self.consortium.place("west", **config).session(request)
                self.own.append(own_levels(session, request).astype(np.float64))
            return passing.content

        with opened_sums() as seen:
            course = self.consortium.start(down=down, up=up, **config)
        self.opened += [one for one in seen if one.purpose == TRAINING]
        return course

    def shows_west(self) -> bool:
        """Say whether a difference of two sums is an update of west, but for a thousandth."""
        differences = [
            one.levels - other.levels
            for one, other in permutations(self.opened, 2)
            if one.sites - other.sites == {"west"} and other.sites < one.sites
        ]
        return any(
            np.linalg.norm(found - own) < 1e-3 * np.linalg.norm(own)
            for found in differences
            for own in self.own
        )


@pytest.mark.parametrize("moved", [0.0, 1e-7])
def test_the_first_update_of_a_site_that_was_away_once_stays_its_own(
    tmp_path: Path, moved: float
) -> None:
    """Another learning rate is the same start: the update is the same but for a millionth."""
    watched = Watched(tmp_path)
    first = watched.run(learning_rate=0.05)
    staged(so=first.error is None and bool(watched.own), what="no first run")
    second = watched.run(away("west"), learning_rate=0.05 + moved)
    assert not watched.shows_west()
    assert {code for _, _, code in second.quarantined} == {"silent", "site-refused.other-sites"}


@pytest.mark.parametrize("number", [1, 2])
def test_nor_is_it_the_difference_of_two_runs_that_it_was_late_in(
    tmp_path: Path, number: int
) -> None:
    """The run is opened for all four, and goes on without west when its answer does not come."""
    watched = Watched(tmp_path)
    staged(so=watched.run().error is None and bool(watched.own), what="no first run")
    second = watched.run(absent("west", "train", number))
    assert not watched.shows_west()
    codes = {code for at, _, code in second.quarantined if at > number}
    assert codes == {"site-refused.other-sites"}


def test_a_run_goes_on_without_who_is_late_and_may_do_so_again(tmp_path: Path) -> None:
    """Sealed for four and opened for three, in the second run as in the first."""
    watched = Watched(tmp_path)
    for _ in range(2):
        assert watched.run(absent("west", "train", 1)).error is None
    assert not watched.shows_west()


@pytest.mark.parametrize(
    ("settings", "others"),
    [({"weighting": "classes"}, {"weighting": "equal"}), ({"batch_size": 32}, {"batch_size": 64})],
)
def test_the_update_of_the_one_site_on_which_a_setting_acts_stays_its_own(
    tmp_path: Path, settings: dict[str, Any], others: dict[str, Any]
) -> None:
    """The same sites in both: west alone has another weight, or more records than a batch."""
    watched = Watched(tmp_path)
    at_west, elsewhere = (8, 60) if "weighting" in settings else (80, 30)
    for name in NAMES:
        path = watched.consortium.run.site(name) / "data.parquet"
        table = records(name, at_west if name == "west" else elsewhere)
        table.to_parquet(path, index=False)
    first = watched.run(**settings)
    staged(so=first.error is None and bool(watched.own), what="no first run")
    second = watched.run(**others)
    opened = [one.levels for one in watched.opened if one.server_round == 1]
    assert not any((one - opened[0]).any() for one in opened)
    assert {code for _, _, code in second.quarantined} == {"site-refused.other-settings"}
    assert watched.run(num_server_rounds=1, **settings).error is None  # how long it is, is no such


def test_another_seed_is_another_start(tmp_path: Path) -> None:
    """And the same sites may go on from the same one as often as they like."""
    watched = Watched(tmp_path)
    first = watched.run()
    assert watched.run(away("west"), seed=8).error is None
    again = watched.run()
    assert again.error is None
    assert again.model == first.model
    assert not watched.shows_west()


def test_the_eyes_of_these_tests_see_an_update(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the memory, the difference of two first sums is the update."""
    monkeypatch.setattr(RosterMemory, "_is_claimed", lambda *_: True)
    watched = Watched(tmp_path)
    watched.run()
    watched.run(away("west"), learning_rate=0.05 + 1e-7)
    assert watched.shows_west()
