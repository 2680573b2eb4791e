"""No count of one site follows from several runs, whoever takes part in which."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from consortium.charter.document import Floors
from consortium.site.policy_templates import strict
from privacy.layout import Tally
from tests.carrier import away, released_tallies, staged
from tests.decisions import decide
from tests.small_consortium import NAMES, Consortium, Course, Place, forget_processes, records

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
    """Run with all four sites, then with three of them; nobody lies."""
    everyone = consortium.start(**config)
    staged(so=bool(released_tallies(everyone)), what="the run of all four released nothing")
    forget_processes()
    three = consortium.start(down=away("west"), **config)
    return everyone, three


def differences(everyone: Course, three: Course) -> list[Tally]:
    """Return what the coordinator can subtract."""
    return [one - other for one in released_tallies(everyone) for other in released_tallies(three)]


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
    for hook in (lambda passing: passing.content, away("west")):
        forget_processes()
        consortium.start(down=hook, **ONE_ROUND)
        model = consortium.run.site("east") / "model" / "model.json"
        told.append(np.array(json.loads(model.read_text())["statistics"]))
    west = consortium.place("west", **ONE_ROUND).site
    assert not np.array_equal(told[0] - told[1], west.task.statistics_of(west.data))
