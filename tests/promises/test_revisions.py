"""A site joins under the next charter: whose counts follow from the sums before and after."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from consortium.charter.document import Charter
from consortium.provisioning.charter_drafts import revise_charter
from consortium.provisioning.enrolment import PublicHalf
from consortium.site.directory import SiteDirectory
from privacy.layout import Tally
from privacy.protocol.envelope import STATISTICS
from privacy.protocol.grouping import COUNTED, WITHHELD
from privacy.protocol.receipts import decode_receipts
from privacy.secrets.replay_guard import SiteMemory
from strategies.coordinator.encrypted.parameters import RoundVoid
from tests.small_consortium import Consortium, Course, forget_processes, read_round

OLD = ("east", "north", "south")
JOINED = (*OLD, "west")


@pytest.fixture
def place(tmp_path: Path) -> Consortium:
    """Four sites, of which the charter names three."""
    forget_processes()
    placed = Consortium.placed(tmp_path / "run", JOINED)
    members = tuple(member for member in placed.charter.members if member.name in OLD)
    return under(placed, placed.charter.model_copy(update={"members": members}))


def under(place: Consortium, charter: Charter) -> Consortium:
    """Install a charter at its sites."""
    for name in charter.names:
        charter.write(place.run.site(name) / "charter.json")
    return replace(place, charter=charter)


def joined_by(place: Consortium, *names: str, keep_statistics: bool) -> Consortium:
    """Install the next revision, which these sites join."""
    public = [place.identity(name).public.describe() for name in names]
    halves = [PublicHalf(**one, node="", signature="") for one in public]
    changed = revise_charter(place.charter, joining=halves, keep_statistics=keep_statistics)
    return under(place, changed)


def run(place: Consortium, seed: int) -> Course:
    forget_processes()
    return place.start(num_server_rounds=1, seed=seed)


def statistics_held(place: Consortium, site: str) -> Tally:
    """Return the pooled statistics that a site holds under the charter in force."""
    with SiteMemory(SiteDirectory(place.run.site(site)).memory) as memory:
        held = memory.rosters.pooled_statistics(place.charter.fingerprint)
    assert held is not None
    return held


def classes_of(course: Course) -> set[int]:
    """Return the weight classes of all statistics that were sealed."""
    (asked, _) = course.answers("train")[0]
    receipts = decode_receipts(read_round(asked.content).count_receipts)
    assert {one.label.slot.purpose for one in receipts} == {STATISTICS}
    return {one.label.weight_class for one in receipts}


def test_no_site_counts_its_training_records_where_the_old_statistics_stand(
    place: Consortium,
) -> None:
    """Counted anew, the difference is the histogram of who joined, to the entry."""
    first = run(place, 1)
    assert first.error is None
    assert classes_of(first) == {COUNTED}
    before = statistics_held(place, "east")
    kept = joined_by(place, "west", keep_statistics=True)
    second = run(kept, 2)
    assert second.error is None
    assert set(second.models) == {*JOINED}
    assert classes_of(second) == {WITHHELD}
    np.testing.assert_array_equal(statistics_held(kept, "west"), before)
    anew = joined_by(place, "west", keep_statistics=False)
    third = run(anew, 3)
    assert third.error is None
    assert classes_of(third) == {COUNTED}
    assert (statistics_held(anew, "east") != before).any()


def test_they_stand_over_several_revisions_and_in_every_later_run(place: Consortium) -> None:
    assert run(place, 1).error is None
    kept = joined_by(place, "west", keep_statistics=True)
    again = under(kept, revise_charter(kept.charter, keep_statistics=True))
    assert again.charter.statistics_of == place.charter.fingerprint
    for seed in (2, 3):  # `west` holds them from the first of these on
        course = run(again, seed)
        assert course.error is None
        assert classes_of(course) == {WITHHELD}


def test_where_most_sites_hold_none_the_run_stops_and_says_what_to_do(place: Consortium) -> None:
    """Nothing was counted under the charter before, so there is nothing that could stand."""
    course = run(joined_by(place, "west", keep_statistics=True), 1)
    assert isinstance(course.error, RoundVoid)
    assert "statistics of an earlier revision stand" in str(course.error)
    assert "without --keep-statistics" in str(course.error)
    assert not course.answers("train")
